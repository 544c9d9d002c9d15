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

variable "image" {
  type    = string
  default = "orders:1"
}

variable "deletion_protection" {
  type    = bool
  default = false
}

variable "deletion_policy" {
  type    = string
  default = null
}

resource "google_pubsub_topic" "orders" {
  name            = var.topic
  labels          = var.labels
  deletion_policy = var.deletion_policy
}

resource "google_pubsub_subscription" "orders" {
  name            = "orders"
  topic           = google_pubsub_topic.orders.id
  deletion_policy = var.deletion_policy
}

resource "google_pubsub_topic_iam_member" "push" {
  topic  = google_pubsub_topic.orders.name
  role   = "roles/pubsub.publisher"
  member = google_service_account.push.member
}

resource "google_service_account" "push" {
  account_id = "orders-push"
}

resource "google_cloud_run_v2_service" "orders" {
  name                = "orders"
  location            = "europe-west2"
  deletion_protection = var.deletion_protection

  template {
    containers {
      image = var.image
    }
  }
}

data "google_project" "this" {
  project_id = "my-project"
}

output "number" {
  value = data.google_project.this.number
}
