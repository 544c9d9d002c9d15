# An HTTP task under a domain of your own. Its callers can't go past the load balancer.

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
}

variable "container_image" {
  description = "Image that holds the tasks."
  type        = string
}

variable "domain" {
  description = "Domain, such as rooms.example.org."
  type        = string
  default     = "rooms.example.org"
}

variable "callers" {
  description = "IAM members that may call the task, such as `group:team@example.org`."
  type        = list(string)
  default     = []
}

locals {
  region = "europe-west2"
}

module "rooms" {
  source = "../.."

  name    = "rooms"
  project = var.project
  region  = local.region

  function = {
    container_image = var.container_image
    target          = "rooms"
    timeout_seconds = 30
    ingress         = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    invokers        = var.callers
  }
}

module "domain" {
  source = "../../modules/domain"

  project         = var.project
  region          = local.region
  name            = "rooms"
  domain          = var.domain
  services        = { "/*" = module.rooms.name }
  min_tls_version = "TLS_1_3"
}

output "address" {
  description = "IP address for the domain's A record."
  value       = module.domain.address
}

output "audience" {
  description = "Audience of the callers' tokens."
  value       = module.rooms.service_uri
}
