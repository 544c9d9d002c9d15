# Without container_image, the deployed image stays: something else deploys it. The provider reads it when Terraform plans.

data "google_cloud_run_v2_service" "deployed" {
  count = local.is_service && var.function.container_image == null ? 1 : 0

  project  = var.project
  location = var.region
  name     = var.name
}

data "google_cloud_run_v2_worker_pool" "deployed" {
  count = local.is_worker && var.function.container_image == null ? 1 : 0

  project  = var.project
  location = var.region
  name     = var.name
}

data "google_cloud_run_v2_job" "deployed" {
  count = local.is_job && var.function.container_image == null ? 1 : 0

  project  = var.project
  location = var.region
  name     = var.name
}

locals {
  deployed_image = one(concat(
    [for service in data.google_cloud_run_v2_service.deployed : service.template[0].containers[0].image],
    [for pool in data.google_cloud_run_v2_worker_pool.deployed : pool.template[0].containers[0].image],
    [for job in data.google_cloud_run_v2_job.deployed : job.template[0].template[0].containers[0].image],
  ))
  image = var.function.container_image == null ? local.deployed_image : var.function.container_image
}
