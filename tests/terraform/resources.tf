# Resources without a module, for the tests of the stand-in.

terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}

provider "google" {
  project = "my-project"
}

variable "topic" {
  type    = string
  default = "orders"
}

variable "labels" {
  type    = map(string)
  default = {}
}

resource "google_pubsub_topic" "orders" {
  name   = var.topic
  labels = var.labels
}

resource "google_pubsub_subscription" "orders" {
  name  = "orders"
  topic = google_pubsub_topic.orders.id
}

resource "google_service_account" "push" {
  account_id = "orders-push"
}

resource "google_cloud_run_v2_service" "orders" {
  name     = "orders"
  location = "europe-west2"
  template {
    containers {
      image = "orders:1"
    }
  }
}

data "google_project" "this" {
  project_id = "my-project"
}

output "number" {
  value = data.google_project.this.number
}
