# A task that pulls its messages, in a Cloud Run worker pool: for work that takes longer than the ten minutes of a push, and
# for batches.

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

module "import_grades" {
  source = "../.."

  name    = "import-grades"
  project = var.project
  region  = "europe-west2"

  function = {
    container_image = var.container_image
    target          = "import_grades"
    run_as          = "worker"
    timeout_seconds = 2 * 60 * 60
  }

  # Two instances at all times.
  concurrency = { min_instances = 2 }

  triggers = {
    subscriptions = {
      import-grades = {
        topic        = "grades"
        create_topic = true
        ordered      = true
        dead_letter  = {}
      }
    }
  }
}

output "topic" {
  description = "Full name of the topic to publish grades to."
  value       = module.import_grades.topics["import-grades"]
}
