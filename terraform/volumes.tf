# Volumes of the container, and the grants that they need.

locals {
  # In secrets, a name that begins with / is a file.
  secret_variables = { for name, secret in var.function.secrets : name => secret if !startswith(name, "/") }
  file_paths       = [for path in keys(var.function.secrets) : path if startswith(path, "/")]

  # By folder: its secrets. Cloud Run mounts one in a folder; it may have several files, of different versions.
  secret_folders = {
    for folder in distinct([for path in local.file_paths : dirname(path)]) : folder => {
      secret = [for path in local.file_paths : var.function.secrets[path].secret if dirname(path) == folder][0]
      files  = { for path in local.file_paths : basename(path) => var.function.secrets[path].version if dirname(path) == folder }
    }
  }

  no_volume = { instances = [], memory = null, bucket = null, read_only = false, secret = null, files = {} }

  # By name in Cloud Run.
  volumes = merge(
    { for path in length(var.function.cloud_sql) > 0 ? ["/cloudsql"] : [] : "cloudsql" => merge(local.no_volume, { path = path, instances = var.function.cloud_sql }) },
    { for path, volume in var.function.volumes : "volume-${substr(sha256(path), 0, 8)}" => merge(local.no_volume, volume, { path = path }) },
    { for path, folder in local.secret_folders : "secret-${substr(sha256(path), 0, 8)}" => merge(local.no_volume, { path = path, secret = folder.secret, files = folder.files }) },
  )

  # By bucket: whether the task writes to it.
  mounted_buckets = {
    for bucket, read_only in { for volume in values(var.function.volumes) : volume.bucket => volume.read_only... if volume.bucket != null } :
    bucket => !alltrue(read_only)
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

resource "google_storage_bucket_iam_member" "volume" {
  for_each = local.mounted_buckets

  bucket = each.key
  role   = each.value ? "roles/storage.objectUser" : "roles/storage.objectViewer"
  member = local.run_time_member
}
