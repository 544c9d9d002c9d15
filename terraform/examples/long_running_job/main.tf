# A task that takes hours: a Cloud Run job, which a schedule runs.

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

module "yearly_report" {
  source = "../.."

  name    = "yearly-report"
  project = var.project
  region  = "europe-west2"

  function = {
    container_image = var.container_image
    target          = "yearly_report"
    run_as          = "cloud-run-job"
    cpu             = "2"
    memory          = "4Gi"
    timeout_seconds = 6 * 60 * 60
    max_retries     = 1
  }

  triggers = {
    cron_schedules = {
      yearly-report = {
        schedule  = "0 4 1 1 *"
        time_zone = "Europe/London"
      }
    }
  }
}

output "job" {
  description = "Id of the Cloud Run job, for `gcloud run jobs execute`."
  value       = module.yearly_report.id
}
