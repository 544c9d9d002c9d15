# All tasks of a collection, as the code in main.py says: `ucam-faas plan --stage production` writes
# ucam-faas.auto.tfvars.json, which Terraform reads by itself. The image changes with each release: terraform apply -var container_image=…

variable "project" {
  type = string
}

variable "region" {
  type    = string
  default = "europe-west2"
}

variable "container_image" {
  type = string
}

variable "labels" {
  type    = map(string)
  default = {}
}

variable "topics" {
  type    = any
  default = {}
}

variable "tasks" {
  type = any
}

module "tasks" {
  source = "../../modules/collection"

  project         = var.project
  region          = var.region
  container_image = var.container_image
  labels          = var.labels
  topics          = var.topics
  tasks           = var.tasks
}

output "tasks" {
  value = module.tasks.tasks
}
