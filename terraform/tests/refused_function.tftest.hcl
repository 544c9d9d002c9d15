# Every rule of function has a value that breaks it.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
  function       = { container_image = "image:1" }
}

run "an_image_without_a_name_is_refused" {
  command = plan

  variables {
    function = {
      container_image = ""
    }
  }

  expect_failures = [var.function]
}

run "a_target_of_two_tasks_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      target          = "orders,refunds"
    }
  }

  expect_failures = [var.function]
}

run "a_kind_of_deployment_that_there_is_not_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      run_as          = "worker"
    }
  }

  expect_failures = [var.function]
}

run "memory_without_a_unit_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      memory          = "512"
    }
  }

  expect_failures = [var.function]
}

run "three_cpus_are_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      cpu             = "3"
      memory          = "4Gi"
    }
  }

  expect_failures = [var.function]
}

run "too_little_of_a_cpu_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      cpu             = "0.07"
      memory          = "128Mi"
    }
  }

  expect_failures = [var.function]
}

run "cpus_in_words_are_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      cpu             = "two"
    }
  }

  expect_failures = [var.function]
}

run "a_job_with_part_of_a_cpu_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      run_as          = "job"
      cpu             = "0.5"
    }
  }

  expect_failures = [var.function]
}

run "too_little_memory_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      memory          = "127Mi"
    }
  }

  expect_failures = [var.function]
}

run "too_little_memory_for_a_job_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      run_as          = "job"
      memory          = "511Mi"
    }
  }

  expect_failures = [var.function]
}

run "too_little_memory_for_four_cpus_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      cpu             = "4"
      memory          = "2047Mi"
    }
  }

  expect_failures = [var.function]
}

run "too_little_memory_for_six_cpus_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      cpu             = "6"
      memory          = "4095Mi"
    }
  }

  expect_failures = [var.function]
}

run "too_much_memory_for_one_cpu_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      memory          = "4097Mi"
    }
  }

  expect_failures = [var.function]
}

run "too_much_memory_for_eight_cpus_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      cpu             = "8"
      memory          = "33Gi"
    }
  }

  expect_failures = [var.function]
}

run "too_much_memory_for_part_of_a_cpu_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      cpu             = "0.4"
      memory          = "513Mi"
    }
  }

  expect_failures = [var.function]
}

run "no_time_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      timeout_seconds = 0
    }
  }

  expect_failures = [var.function]
}

run "a_service_over_an_hour_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      timeout_seconds = 3601
    }
  }

  expect_failures = [var.function]
}

run "a_job_over_a_week_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      run_as          = "job"
      timeout_seconds = 604801
    }
  }

  expect_failures = [var.function]
}

run "an_environment_variable_with_a_dash_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      environment     = { MY-NAME = "x" }
    }
  }

  expect_failures = [var.function]
}

run "a_secret_for_a_variable_with_a_dash_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      secrets         = { MY-KEY = { secret = "key" } }
    }
  }

  expect_failures = [var.function]
}

run "the_port_is_not_given" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      environment     = { PORT = "80" }
    }
  }

  expect_failures = [var.function]
}

run "the_target_is_not_given_twice" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      environment     = { FUNCTION_TARGET = "x" }
    }
  }

  expect_failures = [var.function]
}

run "cloud_runs_own_variables_are_not_given" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      environment     = { K_SERVICE = "x" }
    }
  }

  expect_failures = [var.function]
}

run "a_variable_is_not_both_plain_and_secret" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      environment     = { KEY = "x" }
      secrets         = { KEY = { secret = "key" } }
    }
  }

  expect_failures = [var.function]
}

run "a_secret_with_its_version_in_the_name_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      secrets         = { KEY = { secret = "projects/p/secrets/key/versions/3" } }
    }
  }

  expect_failures = [var.function]
}

run "a_version_that_is_none_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      secrets         = { KEY = { secret = "key", version = "0" } }
    }
  }

  expect_failures = [var.function]
}

run "an_account_with_its_kind_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      service_account = "serviceAccount:me@my-project.iam.gserviceaccount.com"
    }
  }

  expect_failures = [var.function]
}

run "an_ingress_that_there_is_not_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      ingress         = "internal"
    }
  }

  expect_failures = [var.function]
}

run "a_network_and_a_connector_are_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      vpc_access      = { network = "default", connector = "c" }
    }
  }

  expect_failures = [var.function]
}

run "a_vpc_access_to_nothing_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      vpc_access      = {}
    }
  }

  expect_failures = [var.function]
}

run "an_egress_that_there_is_not_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      vpc_access      = { network = "default", egress = "all" }
    }
  }

  expect_failures = [var.function]
}

run "a_topic_that_is_none_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      publishes_to    = ["a topic"]
    }
  }

  expect_failures = [var.function]
}

run "a_topic_of_googles_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      publishes_to    = ["google-topic"]
    }
  }

  expect_failures = [var.function]
}

run "an_invoker_without_a_kind_is_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      invokers        = ["me@example.org"]
    }
  }

  expect_failures = [var.function]
}

run "more_retries_than_a_job_has_are_refused" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      run_as          = "job"
      max_retries     = 11
    }
  }

  expect_failures = [var.function]
}
