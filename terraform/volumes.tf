# Volumes of the container, and the grants that they need.

locals {
  # By name in Cloud Run.
  volumes = {
    for name, instances in { cloudsql = var.function.cloud_sql } : name => { path = "/cloudsql", instances = instances } if length(instances) > 0
  }

  # By connection name, `project:region:instance`; the id of an older project has a colon, too.
  cloud_sql = {
    for instance in var.function.cloud_sql : instance => {
      project = join(":", slice(split(":", instance), 0, length(split(":", instance)) - 2))
      name    = reverse(split(":", instance))[0]
    }
  }
}

# An instance has no policy of its own, so that the role can be granted on projects only; the condition limits it to the
# instance.
resource "google_project_iam_member" "cloud_sql" {
  for_each = local.cloud_sql

  project = each.value.project
  role    = "roles/cloudsql.client"
  member  = local.run_time_member

  condition {
    title      = "Cloud SQL ${each.value.name}"
    expression = "resource.name == \"projects/${each.value.project}/instances/${each.value.name}\" && resource.type == \"sqladmin.googleapis.com/Instance\""
  }
}
