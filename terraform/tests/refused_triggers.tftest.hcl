# Every rule of triggers has a value that breaks it.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
  function       = { container_image = "image:1" }
}

run "a_subscription_with_a_short_name_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        or = { topic = "orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_subscription_of_googles_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        google-orders = { topic = "orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_name_too_long_for_what_comes_after_it_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        "abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" = { topic = "orders", dead_letter = {} }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_topic_with_spaces_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { topic = "the orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_topic_of_another_project_is_not_made" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { topic = "projects/other/topics/orders", create_topic = true }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_filter_that_is_too_long_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { filter = join("", [for i in range(257) : "a"]) }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_path_without_a_slash_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { path = "orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "an_ack_deadline_below_pubsubs_is_refused" {
  command = plan

  variables {
    function = { container_image = "image:1", timeout_seconds = 5 }
    triggers = {
      subscriptions = {
        orders = { ack_deadline_seconds = 9 }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "an_ack_deadline_over_pubsubs_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { ack_deadline_seconds = 601 }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_task_longer_than_any_ack_deadline_is_refused" {
  command = plan

  variables {
    function = { container_image = "image:1", timeout_seconds = 601 }
    triggers = {
      subscriptions = {
        orders = { topic = "orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "an_ack_deadline_shorter_than_the_task_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { ack_deadline_seconds = 299 }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "retention_below_pubsubs_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { message_retention_seconds = 599 }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "retention_over_pubsubs_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { message_retention_seconds = 2678401 }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_backoff_below_nothing_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { retry = { min_backoff_seconds = -1 } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_backoff_over_pubsubs_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { retry = { max_backoff_seconds = 601 } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_backoff_that_shrinks_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { retry = { min_backoff_seconds = 20, max_backoff_seconds = 10 } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "fewer_attempts_than_pubsub_takes_are_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { dead_letter = { max_attempts = 4 } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "more_attempts_than_pubsub_takes_are_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { dead_letter = { max_attempts = 101 } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_dead_letter_topic_with_spaces_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { dead_letter = { topic = "the dead" } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_dead_letter_does_not_go_back_where_it_came_from" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { topic = "orders", dead_letter = { topic = "orders" } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_keeper_of_a_topic_that_is_made_here_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { dead_letter = { subscription = "kept" } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_subscriptions_label_with_capitals_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { labels = { Team = "accounts" } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_job_is_not_pushed_to" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "job" }
    triggers = {
      subscriptions = {
        orders = { topic = "orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_with_spaces_in_its_name_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        "every night" = { schedule = "0 3 * * *" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_of_four_fields_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * *" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_with_seconds_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 0 3 * * *" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_time_zone_of_nothing_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *", time_zone = "" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_time_zone_with_spaces_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *", time_zone = "Europe/Little London" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "data_that_are_not_base64_are_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *", data = "{}" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "an_attribute_of_googles_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *", attributes = { google = "x" } }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedules_topic_with_spaces_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders = { topic = "orders" }
      }
      cron_schedules = {
        nightly = { schedule = "0 3 * * *", topic = "the orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_says_to_which_of_two_topics" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        orders  = {}
        refunds = {}
      }
      cron_schedules = {
        nightly = { schedule = "0 3 * * *" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_does_not_publish_where_nobody_reads" {
  command = plan

  variables {
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *", topic = "orders" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_job_gets_no_message" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "job" }
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *", data = "e30=" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_name_too_short_for_a_topic_is_refused" {
  command = plan

  variables {
    name = "or"
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_scheduled_task_longer_than_any_ack_deadline_is_refused" {
  command = plan

  variables {
    function = { container_image = "image:1", timeout_seconds = 601 }
    triggers = {
      cron_schedules = {
        nightly = { schedule = "0 3 * * *" }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_name_to_which_dead_letter_cannot_be_added_is_refused" {
  command = plan

  variables {
    triggers = {
      subscriptions = {
        (join("", [for _ in range(244) : "o"])) = { dead_letter = {} }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_name_to_which_dead_letter_archive_cannot_be_added_is_refused" {
  command = plan

  variables {
    dead_letter_archive = "bucket"
    triggers = {
      subscriptions = {
        (join("", [for _ in range(236) : "o"])) = { dead_letter = {} }
      }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_in_a_list_is_checked" {
  command = plan

  variables {
    triggers = {
      cron_schedules = ["nightly"]
    }
  }

  expect_failures = [var.triggers]
}

run "a_misspelt_attribute_of_a_schedule_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = { nightly = { schedule = "0 3 * * *", timezone = "Europe/London" } }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_without_its_schedule_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = { nightly = { time_zone = "Europe/London" } }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_paused_with_a_word_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = { nightly = { schedule = "0 3 * * *", paused = "yes" } }
    }
  }

  expect_failures = [var.triggers]
}

run "attributes_of_a_schedule_in_a_list_are_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = { nightly = { schedule = "0 3 * * *", attributes = { kind = ["all"] } } }
    }
  }

  expect_failures = [var.triggers]
}

run "a_schedule_that_is_a_text_alone_is_refused" {
  command = plan

  variables {
    triggers = {
      cron_schedules = "0 3 * * *"
    }
  }

  expect_failures = [var.triggers]
}
