# A task whose spans and metrics go to Cloud Trace and Cloud Monitoring through a collector beside it, and that has a cache
# in another container.

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

module "resize_photo" {
  source = "../.."

  name    = "resize-photo"
  project = var.project
  region  = "europe-west2"

  function = {
    container_image = var.container_image
    target          = "resize_photo"
    environment     = { CACHE = "redis://localhost:6379" }
    telemetry       = { memory = "256Mi" }

    # The task starts when the port is open.
    sidecars = {
      cache = { image = "docker.io/library/redis:8", memory = "256Mi", port = 6379 }
    }
  }

  triggers = {
    subscriptions = {
      resize-photo = { topic = "photos", create_topic = true, dead_letter = {} }
    }
  }
}

output "topic" {
  description = "Full name of the topic to publish photos to."
  value       = module.resize_photo.topics["resize-photo"]
}
