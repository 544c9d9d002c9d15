# The load balancer: its routes, certificate and versions of TLS.

mock_provider "google" {}

variables {
  project  = "my-project"
  region   = "europe-west2"
  domain   = "tasks.example.org"
  services = { "/*" = "rooms", "/desks/*" = "desks", "/desks" = "desks" }
}

run "callers_need_tls_1_2" {
  assert {
    condition     = google_compute_ssl_policy.this.min_tls_version == "TLS_1_2" && google_compute_target_https_proxy.this.ssl_policy == google_compute_ssl_policy.this.id && google_compute_global_forwarding_rule.this.port_range == "443"
    error_message = "older versions are refused, and plain HTTP is not answered"
  }

  assert {
    condition     = keys(google_compute_region_network_endpoint_group.this) == ["desks", "rooms"] && google_compute_url_map.this.default_service == google_compute_backend_service.this["rooms"].id && length(google_compute_url_map.this.path_matcher[0].path_rule) == 2
    error_message = "each path has its service"
  }

  assert {
    condition     = google_compute_managed_ssl_certificate.this.managed[0].domains == tolist(["tasks.example.org"])
    error_message = "the certificate is for the domain"
  }
}

run "an_old_version_is_refused" {
  command = plan

  variables {
    min_tls_version = "TLS_1_0"
  }

  expect_failures = [var.min_tls_version]
}

run "a_star_in_the_middle_of_a_name_is_refused" {
  command = plan

  variables {
    services = { "/*" = "rooms", "/desks*" = "desks" }
  }

  expect_failures = [var.services]
}

run "all_paths_have_a_service" {
  command = plan

  variables {
    services = { "/rooms" = "rooms" }
  }

  expect_failures = [var.services]
}
