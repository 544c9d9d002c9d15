# A domain of your own for HTTP tasks: an external Application Load Balancer in front of their services. Requests over plain
# HTTP are not answered.

resource "google_compute_global_address" "this" {
  project = var.project
  name    = var.name
}

resource "google_compute_region_network_endpoint_group" "this" {
  for_each = toset(values(var.services))

  project               = var.project
  region                = var.region
  name                  = "${var.name}-${each.value}"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = each.value
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_backend_service" "this" {
  for_each = google_compute_region_network_endpoint_group.this

  project               = var.project
  name                  = each.value.name
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = var.security_policy

  backend {
    group = each.value.id
  }

  log_config {
    enable = true
  }

  # Thereby one that goes is deleted after the URL map has changed; Google refuses to delete one that is in use.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_url_map" "this" {
  project         = var.project
  name            = var.name
  default_service = google_compute_backend_service.this[var.services["/*"]].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "tasks"
  }

  path_matcher {
    name            = "tasks"
    default_service = google_compute_backend_service.this[var.services["/*"]].id

    dynamic "path_rule" {
      for_each = { for path, service in var.services : path => service if path != "/*" }
      content {
        paths   = [path_rule.key]
        service = google_compute_backend_service.this[path_rule.value].id
      }
    }
  }
}

# Google issues it when the domain's A record has the address, and renews it.
resource "google_compute_managed_ssl_certificate" "this" {
  project = var.project
  name    = "${var.name}-${substr(sha256(var.domain), 0, 6)}"

  managed {
    domains = [var.domain]
  }

  # Another domain replaces it, and the proxy needs one at all times.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "this" {
  project         = var.project
  name            = var.name
  profile         = var.min_tls_version == "TLS_1_3" ? "RESTRICTED" : "MODERN"
  min_tls_version = var.min_tls_version
}

resource "google_compute_target_https_proxy" "this" {
  project          = var.project
  name             = var.name
  url_map          = google_compute_url_map.this.id
  ssl_certificates = [google_compute_managed_ssl_certificate.this.id]
  ssl_policy       = google_compute_ssl_policy.this.id
}

resource "google_compute_global_forwarding_rule" "this" {
  project               = var.project
  name                  = var.name
  labels                = var.labels
  target                = google_compute_target_https_proxy.this.id
  ip_address            = google_compute_global_address.this.id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}
