# Values at Google's limits are accepted.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
}

run "the_smallest_service_is_accepted" {
  command = plan

  variables {
    name = "o"
    function = {
      container_image = "image"
      cpu             = "0.08"
      memory          = "128Mi"
      timeout_seconds = 1
    }
    concurrency = { max_instances = 1 }
    triggers = {
      subscriptions = {
        abc = {
          ack_deadline_seconds      = 10
          message_retention_seconds = 600
          retry                     = { min_backoff_seconds = 0, max_backoff_seconds = 0 }
          dead_letter               = { max_attempts = 5 }
        }
      }
    }
    alerting = { error_ratio = 0, oldest_message_seconds = 1 }
  }
}

run "the_largest_service_is_accepted" {
  command = plan

  variables {
    name = "o234567890123456789012345678901234567890123456789"
    function = {
      container_image = "image"
      cpu             = "8"
      memory          = "32Gi"
      timeout_seconds = 600
      max_retries     = 10
      secrets         = { KEY = { secret = "projects/other/secrets/key", version = "live" }, "/run/keys/k" = { secret = "key" } }
      volumes         = { "/tmp" = { memory = "31Gi" }, "/mnt/data" = { bucket = "data" } }
    }
    concurrency = {
      max_concurrent_functions_per_instance = 1000
      min_instances                         = 5
      max_instances                         = 5
    }
    triggers = {
      subscriptions = {
        abc = {
          topic                     = "projects/other/topics/abc"
          ack_deadline_seconds      = 600
          message_retention_seconds = 2678400
          retry                     = { min_backoff_seconds = 600, max_backoff_seconds = 600 }
          dead_letter               = { max_attempts = 100, topic = "projects/other/topics/failed" }
        }
      }
    }
    kms_key             = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    dead_letter_archive = "my.bucket_1"
  }
}

run "the_longest_names_of_subscriptions_are_accepted" {
  command = plan

  variables {
    function = { container_image = "image" }
    triggers = {
      subscriptions = {
        (join("", [for _ in range(243) : "o"])) = { dead_letter = {} }
        (join("", [for _ in range(255) : "o"])) = { dead_letter = { topic = "failed" } }
      }
    }
  }
}

run "every_number_of_cpus_is_accepted_with_its_least_memory" {
  command = plan

  variables {
    function = { container_image = "image", cpu = "4", memory = "2Gi" }
  }
}

run "memory_in_decimal_units_is_accepted" {
  command = plan

  variables {
    function = { container_image = "image", cpu = "2", memory = "1.5G" }
  }
}

run "a_request_may_take_an_hour" {
  command = plan

  variables {
    function = { container_image = "image", timeout_seconds = 3600 }
  }
}

run "a_job_may_take_a_week" {
  command = plan

  variables {
    function = { container_image = "image", run_as = "cloud-run-job", timeout_seconds = 604800 }
  }
}

run "schedules_of_all_forms_are_accepted" {
  command = plan

  variables {
    function = { container_image = "image" }
    triggers = {
      cron_schedules = {
        a = { schedule = "*/5 0-23/2 1,15 JAN-MAR MON-FRI", time_zone = "America/Argentina/Buenos_Aires" }
        b = { schedule = "0  3  *  *  7", time_zone = "Etc/GMT+1" }
        c = { schedule = "0 3 * * *", time_zone = "UTC", data = "AP8=", attributes = { kind = "nightly" } }
      }
    }
  }
}
