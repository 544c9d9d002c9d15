# A deployment of 1.0, as far as it is known. The module that its documentation used, `uis/ucam-faas` in the
# university's registry, isn't public. From its guidebook: the inputs, a service with the task's name, and schedules
# NAME-0, NAME-1, … Made up by us: the addresses in the module, and the names of the topic, subscription and accounts.

provider "google" {
  project = "my-project"
  region  = "europe-west2"
}

variable "deletion_protection" {
  type    = bool
  default = true
}

module "tidy_up" {
  source = "./faas"

  name                = "tidy-up"
  function            = { container_image = "europe-docker.pkg.dev/my-project/tasks/tidy-up:1" }
  triggers            = { cron_schedules = ["*/15 * * * *", "5 3 * * *"] }
  concurrency         = { max_concurrent_functions_per_instance = 1 }
  deletion_protection = var.deletion_protection
}
