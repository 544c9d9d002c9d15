# A task that runs every night. Its schedule publishes to a topic, and the topic's subscription calls the task.

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

module "nightly_cleanup" {
  source = "../.."

  name    = "nightly-cleanup"
  project = var.project
  region  = "europe-west2"

  function = {
    container_image = var.container_image
    target          = "clean_up"
  }

  triggers = {
    cron_schedules = {
      nightly-cleanup = {
        schedule  = "0 3 * * *"
        time_zone = "Europe/London"
      }
    }
  }
}

output "schedule" {
  description = "Id of the Cloud Scheduler job, for `gcloud scheduler jobs run`."
  value       = module.nightly_cleanup.schedules["nightly-cleanup"]
}
