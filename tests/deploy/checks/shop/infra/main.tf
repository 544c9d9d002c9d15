variable "project" {
  type = string
}

variable "region" {
  type = string
}

variable "labels" {
  type = map(string)
}

variable "topics" {
  type = any
}

variable "tasks" {
  type = any
}

module "tasks" {
  source = "../terraform/modules/collection"

  project         = var.project
  project_number  = "123456789012"
  region          = var.region
  container_image = "europe-docker.pkg.dev/my-project/tasks/tasks:1"
  labels          = var.labels
  topics          = var.topics
  tasks           = var.tasks
}
