# The README's table is made from this file.

variable "project" {
  description = "Id of the project of the services."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the services."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the load balancer's parts: the address, the URL map, the proxy and others."
  type        = string
  nullable    = false
  default     = "tasks"

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,11}[a-z0-9])?$", var.name))
    error_message = "name is \"${var.name}\"; expected 1 to 13 characters of a-z, 0-9 and -: the services' names are appended."
  }
}

variable "domain" {
  description = "Domain, such as tasks.example.org. Its A record is the output `address`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([-a-z0-9]*[a-z0-9])?[.])+[a-z]{2,}$", var.domain))
    error_message = "domain is \"${var.domain}\"; expected a domain such as tasks.example.org, without a wildcard: Google's managed certificates have none."
  }
}

variable "services" {
  description = "Names of the services by the paths that they answer, such as `/rooms/*`. `/*` is for all others."
  type        = map(string)
  nullable    = false

  validation {
    condition     = contains(keys(var.services), "/*") && alltrue([for path in keys(var.services) : can(regex("^/([^*?#]*/)?([*]|[^*?#]*)$", path))])
    error_message = "services: expected paths such as /rooms or /rooms/*, with * only after the last /, and /* for all others; found ${join(", ", keys(var.services))}."
  }
}

variable "min_tls_version" {
  description = "Oldest version of TLS that callers may use: `TLS_1_2` or `TLS_1_3`."
  type        = string
  nullable    = false
  default     = "TLS_1_2"

  validation {
    condition     = contains(["TLS_1_2", "TLS_1_3"], var.min_tls_version)
    error_message = "min_tls_version is \"${var.min_tls_version}\"; expected TLS_1_2 or TLS_1_3."
  }
}

variable "security_policy" {
  description = "Id of a Cloud Armor policy that exists. None: none."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the forwarding rule; the other parts can't have any."
  type        = map(string)
  nullable    = false
  default     = {}
}
