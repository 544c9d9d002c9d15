# A task that gets protobuf messages as they were published: the data alone, the attributes in headers. It publishes
# to another topic itself.

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

resource "google_pubsub_topic" "invoices" {
  project = var.project
  name    = "invoices"
}

module "orders" {
  source = "../.."

  name    = "orders"
  project = var.project
  region  = "europe-west2"

  function = {
    container_image = var.container_image
    target          = "take_order"
    publishes_to    = [google_pubsub_topic.invoices.name]
  }

  triggers = {
    subscriptions = {
      orders = {
        create_topic = true
        wrapped      = false
        ordered      = true
        dead_letter  = {}
      }
    }
  }
}

output "topic" {
  description = "Full name of the topic to publish orders to."
  value       = module.orders.topics["orders"]
}
