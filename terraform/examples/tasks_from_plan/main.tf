# All tasks of a collection, as the code in main.py says: `ucam-faas plan --stage production` writes
# ucam-faas.auto.tfvars.json, which Terraform reads by itself. The image changes with each release: terraform apply -var container_image=…

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "region" {
  description = "Region of Cloud Run and Cloud Scheduler."
  type        = string
  default     = "europe-west2"
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

variable "labels" {
  description = "Labels of everything that can have labels; `ucam-faas plan` writes them."
  type        = map(string)
  default     = {}
}

variable "topics" {
  description = "Topics to make; `ucam-faas plan` writes them."
  type        = any
  default     = {}
}

variable "tasks" {
  description = "The tasks; `ucam-faas plan` writes them."
  type        = any
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
  description = "The outputs of each task's module, by name in the code."
  value       = module.tasks.tasks
}
