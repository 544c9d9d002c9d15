# A task that takes hours: a Cloud Run job, which a schedule runs.

variable "project" {
  type = string
}

variable "container_image" {
  type = string
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
