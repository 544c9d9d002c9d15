# A task for each message of a topic that others publish to, with retries, dead letters, a secret and alerts.

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

variable "notification_channels" {
  description = "Notification channels for incidents: `projects/P/notificationChannels/N`."
  type        = list(string)
  default     = []
}

resource "google_pubsub_topic" "users" {
  project = var.project
  name    = "users"
}

module "welcome_email" {
  source = "../.."

  name    = "welcome-email"
  project = var.project
  region  = "europe-west2"

  function = {
    container_image = var.container_image
    target          = "welcome_email"
    timeout_seconds = 60
    environment     = { SENDER = "hello@example.org" }
    secrets         = { MAIL_API_KEY = { secret = "mail-api-key" } }
  }

  concurrency = {
    max_concurrent_functions_per_instance = 8
    max_instances                         = 20
  }

  triggers = {
    subscriptions = {
      welcome-email = {
        topic       = google_pubsub_topic.users.name
        filter      = "attributes.kind = \"created\""
        retry       = { min_backoff_seconds = 30, max_backoff_seconds = 600 }
        dead_letter = { max_attempts = 10 }
      }
    }
  }

  alerting = {
    notification_channels = var.notification_channels
  }

  labels = { team = "accounts" }
}

output "dead_letters" {
  description = "Name of the subscription that keeps messages that failed."
  value       = module.welcome_email.dead_letter_subscriptions["welcome-email"]
}
