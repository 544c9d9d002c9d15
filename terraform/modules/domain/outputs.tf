output "address" {
  description = "IP address for the domain's A record."
  value       = google_compute_global_address.this.address
}

output "url_map" {
  description = "Id of the URL map."
  value       = google_compute_url_map.this.id
}

output "certificate" {
  description = "Id of the certificate."
  value       = google_compute_managed_ssl_certificate.this.id
}
