# Who may do what on what.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
}

run "a_service_has_the_grants_of_the_readme" {
  variables {
    function = {
      container_image = "image:1"
      secrets = {
        API_KEY = { secret = "api-key" }
        OLD_KEY = { secret = "api-key", version = "3" }
        SHARED  = { secret = "projects/other/secrets/shared" }
      }
      publishes_to = ["invoices", "projects/other/topics/audit"]
      invokers     = ["group:team@example.org"]
    }
    triggers = {
      subscriptions = {
        orders  = { create_topic = true, dead_letter = {} }
        refunds = { dead_letter = { topic = "failed-refunds" } }
        returns = { dead_letter = { topic = "failed-refunds" } }
        drafts  = {}
      }
    }
    dead_letter_archive = "my-bucket"
  }

  assert {
    condition     = length(distinct([google_service_account.run_time[0].account_id, google_service_account.push[0].account_id, google_service_account.archive[0].account_id])) == 3
    error_message = "the task, the pushes and the archive have accounts of their own"
  }

  assert {
    condition = (
      google_cloud_run_v2_service_iam_member.push[0].role == "roles/run.invoker" &&
      google_cloud_run_v2_service_iam_member.push[0].name == "orders" &&
      google_cloud_run_v2_service_iam_member.push[0].location == "europe-west2" &&
      google_cloud_run_v2_service_iam_member.push[0].member == "serviceAccount:${google_service_account.push[0].email}"
    )
    error_message = "the push account may call this service"
  }

  assert {
    condition = (
      keys(google_cloud_run_v2_service_iam_member.invoker) == ["group:team@example.org"] &&
      google_cloud_run_v2_service_iam_member.invoker["group:team@example.org"].role == "roles/run.invoker" &&
      google_cloud_run_v2_service_iam_member.invoker["group:team@example.org"].member == "group:team@example.org"
    )
    error_message = "those in invokers may call this service"
  }

  assert {
    condition = (
      google_service_account_iam_member.push_token[0].role == "roles/iam.serviceAccountOpenIdTokenCreator" &&
      google_service_account_iam_member.push_token[0].service_account_id == google_service_account.push[0].name &&
      google_service_account_iam_member.push_token[0].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    )
    error_message = "Pub/Sub may make OpenID tokens of the push account"
  }

  assert {
    condition = { for key, grant in google_pubsub_topic_iam_member.dead_letter_agent : key => [grant.topic, grant.role, grant.member] } == {
      orders         = ["projects/my-project/topics/orders-dead-letter", "roles/pubsub.publisher", "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"]
      failed-refunds = ["projects/my-project/topics/failed-refunds", "roles/pubsub.publisher", "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"]
    }
    error_message = "Pub/Sub may publish to each dead-letter topic"
  }

  assert {
    condition = { for key, grant in google_pubsub_subscription_iam_member.dead_letter_agent : key => [grant.subscription, grant.role, grant.member] } == {
      for name in ["orders", "refunds", "returns"] : name => [name, "roles/pubsub.subscriber", "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"]
    }
    error_message = "Pub/Sub may acknowledge what it takes to the dead letters, and nothing of a subscription without them"
  }

  assert {
    condition = { for key, grant in google_pubsub_topic_iam_member.dead_letter_run_time : grant.topic => [grant.role, grant.member] } == {
      for topic in ["orders-dead-letter", "failed-refunds"] :
      "projects/my-project/topics/${topic}" => ["roles/pubsub.publisher", "serviceAccount:${google_service_account.run_time[0].email}"]
    }
    error_message = "the task may publish to its dead-letter topics"
  }

  assert {
    condition = { for key, grant in google_pubsub_topic_iam_member.publishes_to : grant.topic => [grant.role, grant.member] } == {
      for topic in ["projects/my-project/topics/invoices", "projects/other/topics/audit"] :
      topic => ["roles/pubsub.publisher", "serviceAccount:${google_service_account.run_time[0].email}"]
    }
    error_message = "the task may publish to the topics of publishes_to"
  }

  assert {
    condition = { for key, grant in google_secret_manager_secret_iam_member.run_time : grant.secret_id => [grant.role, grant.member] } == {
      for secret in ["api-key", "projects/other/secrets/shared"] :
      secret => ["roles/secretmanager.secretAccessor", "serviceAccount:${google_service_account.run_time[0].email}"]
    }
    error_message = "the task may read each of its secrets"
  }

  assert {
    condition = { for key, grant in google_storage_bucket_iam_member.archive : grant.role => [grant.bucket, grant.member] } == {
      for role in ["roles/storage.objectCreator", "roles/storage.legacyBucketReader"] :
      role => ["my-bucket", "serviceAccount:${google_service_account.archive[0].email}"]
    }
    error_message = "the archive account may write to the bucket"
  }

  assert {
    condition = (
      google_service_account_iam_member.archive_token[0].role == "roles/iam.serviceAccountTokenCreator" &&
      google_service_account_iam_member.archive_token[0].service_account_id == google_service_account.archive[0].name &&
      google_service_account_iam_member.archive_token[0].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    )
    error_message = "Pub/Sub may write as the archive account"
  }

  assert {
    condition     = length(google_service_account.scheduler) + length(google_cloud_run_v2_job_iam_member.scheduler) + length(google_cloud_run_v2_job_iam_member.invoker) == 0
    error_message = "a service has nothing of a job"
  }
}

run "a_job_has_the_grants_of_the_readme" {
  variables {
    function = {
      container_image = "image:1"
      run_as          = "cloud-run-job"
      invokers        = ["group:team@example.org"]
    }
    triggers = { cron_schedules = { orders = { schedule = "0 3 * * *" } } }
  }

  assert {
    condition = (
      google_cloud_run_v2_job_iam_member.scheduler[0].role == "roles/run.invoker" &&
      google_cloud_run_v2_job_iam_member.scheduler[0].name == "orders" &&
      google_cloud_run_v2_job_iam_member.scheduler[0].location == "europe-west2" &&
      google_cloud_run_v2_job_iam_member.scheduler[0].member == "serviceAccount:${google_service_account.scheduler[0].email}"
    )
    error_message = "the scheduler account may run this job"
  }

  assert {
    condition = (
      keys(google_cloud_run_v2_job_iam_member.invoker) == ["group:team@example.org"] &&
      google_cloud_run_v2_job_iam_member.invoker["group:team@example.org"].role == "roles/run.invoker"
    )
    error_message = "those in invokers may run this job"
  }

  assert {
    condition     = google_service_account.scheduler[0].account_id != google_service_account.run_time[0].account_id
    error_message = "the task does not run as who starts it"
  }

  assert {
    condition     = length(google_service_account.push) + length(google_service_account_iam_member.push_token) + length(google_cloud_run_v2_service_iam_member.push) + length(google_cloud_run_v2_service_iam_member.invoker) == 0
    error_message = "a job has nothing of a service"
  }
}

run "an_account_that_is_given_gets_the_tasks_grants" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      service_account = "mine@my-project.iam.gserviceaccount.com"
      secrets         = { API_KEY = { secret = "api-key" } }
      publishes_to    = ["invoices"]
    }
  }

  assert {
    condition     = length(google_service_account.run_time) == 0
    error_message = "no other account is made"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].service_account == "mine@my-project.iam.gserviceaccount.com"
    error_message = "the task runs as the account that is given"
  }

  assert {
    condition = (
      google_secret_manager_secret_iam_member.run_time["api-key"].member == "serviceAccount:mine@my-project.iam.gserviceaccount.com" &&
      google_pubsub_topic_iam_member.publishes_to["invoices"].member == "serviceAccount:mine@my-project.iam.gserviceaccount.com"
    )
    error_message = "the account that is given gets the grants"
  }
}

run "shared_accounts_are_used_and_not_made" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = {} } } }
    accounts = {
      push    = "push@my-project.iam.gserviceaccount.com"
      archive = "archive@my-project.iam.gserviceaccount.com"
    }
    dead_letter_archive = "my-bucket"
  }

  assert {
    condition     = length(google_service_account.push) + length(google_service_account.archive) + length(google_service_account_iam_member.push_token) + length(google_service_account_iam_member.archive_token) + length(google_storage_bucket_iam_member.archive) == 0
    error_message = "neither accounts nor grants on them are made"
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.push[0].member == "serviceAccount:push@my-project.iam.gserviceaccount.com" && google_pubsub_subscription.push["orders"].push_config[0].oidc_token[0].service_account_email == "push@my-project.iam.gserviceaccount.com"
    error_message = "the shared account may call this service, and does"
  }

  assert {
    condition     = google_pubsub_subscription.dead_letter_archive["orders"].cloud_storage_config[0].service_account_email == "archive@my-project.iam.gserviceaccount.com"
    error_message = "dead letters are written as the shared account"
  }

  assert {
    condition     = output.service_accounts.push == "push@my-project.iam.gserviceaccount.com" && output.service_accounts.archive == "archive@my-project.iam.gserviceaccount.com" && output.service_accounts.scheduler == null
    error_message = "the outputs name them"
  }
}

run "a_shared_account_runs_the_job" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "cloud-run-job" }
    triggers = { cron_schedules = { orders = { schedule = "0 3 * * *" } } }
    accounts = { scheduler = "scheduler@my-project.iam.gserviceaccount.com" }
  }

  assert {
    condition     = length(google_service_account.scheduler) == 0 && google_cloud_run_v2_job_iam_member.scheduler[0].member == "serviceAccount:scheduler@my-project.iam.gserviceaccount.com" && google_cloud_scheduler_job.schedule["orders"].http_target[0].oauth_token[0].service_account_email == "scheduler@my-project.iam.gserviceaccount.com"
    error_message = "the shared account may run this job, and does"
  }
}

run "what_is_not_called_by_pubsub_has_no_account_for_it" {
  command = plan

  variables {
    function = { container_image = "image:1" }
  }

  assert {
    condition     = length(google_service_account.push) + length(google_pubsub_subscription.push) + length(google_pubsub_topic.trigger) + length(google_cloud_run_v2_service_iam_member.push) == 0
    error_message = "a task that only answers requests has no topic, no subscription and no push account"
  }
}

run "a_grant_that_somebody_else_makes_is_not_made_twice" {
  command = plan

  variables {
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = { topic = "failed", grant = false } } } }
  }

  assert {
    condition     = length(google_pubsub_topic_iam_member.dead_letter_agent) == 0 && length(google_pubsub_topic_iam_member.dead_letter_run_time) == 1
    error_message = "grant = false leaves out Pub/Sub's grant, and that one only"
  }
}

run "the_project_number_is_looked_up" {
  command = plan

  variables {
    project_number = null
    function       = { container_image = "image:1" }
    triggers       = { subscriptions = { orders = { dead_letter = {} } } }
  }

  override_data {
    target = data.google_project.this[0]
    values = { number = "42" }
  }

  assert {
    condition     = google_pubsub_topic_iam_member.dead_letter_agent["orders"].member == "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub's agent has the number of the project"
  }
}

run "a_short_name_has_valid_accounts" {
  command = plan

  variables {
    name     = "o"
    function = { container_image = "image:1" }
    triggers = { subscriptions = { orders = { dead_letter = {} } } }
  }

  assert {
    condition     = alltrue([for id in [google_service_account.run_time[0].account_id, google_service_account.push[0].account_id] : can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", id))])
    error_message = "ids of accounts have 6 to 30 characters"
  }
}

run "a_name_of_twenty_characters_is_kept_whole" {
  command = plan

  variables {
    name     = "o2345678901234567890"
    function = { container_image = "image:1", run_as = "cloud-run-job" }
    triggers = { cron_schedules = { nightly = { schedule = "0 3 * * *" } } }
  }

  assert {
    condition     = google_service_account.scheduler[0].account_id == "o2345678901234567890-scheduler"
    error_message = "it has just enough room"
  }
}

run "a_name_of_twenty_one_characters_is_cut" {
  command = plan

  variables {
    name     = "o23456789012345678901"
    function = { container_image = "image:1", run_as = "cloud-run-job" }
    triggers = { cron_schedules = { nightly = { schedule = "0 3 * * *" } } }
  }

  assert {
    condition     = can(regex("^o234567890123-[0-9a-f]{6}-scheduler$", google_service_account.scheduler[0].account_id))
    error_message = "ids of accounts have at most 30 characters"
  }
}

run "a_long_name_has_valid_accounts" {
  command = plan

  variables {
    name                = "o2345678901-3456789012345678901234567890123456789"
    dead_letter_archive = "my-bucket"
    function            = { container_image = "image:1" }
    triggers            = { subscriptions = { orders = { dead_letter = {} } } }
  }

  assert {
    condition     = alltrue([for id in [google_service_account.run_time[0].account_id, google_service_account.push[0].account_id, google_service_account.archive[0].account_id] : can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", id))])
    error_message = "ids of accounts have 6 to 30 characters"
  }

  assert {
    condition     = google_service_account.run_time[0].account_id == "o2345678901-3-${substr(sha256(var.name), 0, 6)}-runtime"
    error_message = "long names are told apart by a hash"
  }
}

run "the_longest_named_job_has_a_valid_scheduler_account" {
  command = plan

  variables {
    name     = "o234567890123456789012345678901234567890123456789"
    function = { container_image = "image:1", run_as = "cloud-run-job" }
    triggers = { cron_schedules = { nightly = { schedule = "0 3 * * *" } } }
  }

  assert {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", google_service_account.scheduler[0].account_id))
    error_message = "ids of accounts have 6 to 30 characters"
  }
}

run "the_sockets_of_cloud_sql_are_mounted_and_granted" {
  command = plan

  variables {
    function = { container_image = "image:1", cloud_sql = ["my-project:europe-west2:shop", "example.org:archive:europe-west1:books"] }
  }

  assert {
    condition = (
      toset(google_cloud_run_v2_service.this[0].template[0].volumes[0].cloud_sql_instance[0].instances) == toset(["my-project:europe-west2:shop", "example.org:archive:europe-west1:books"]) &&
      google_cloud_run_v2_service.this[0].template[0].containers[0].volume_mounts[0].mount_path == "/cloudsql" &&
      google_cloud_run_v2_service.this[0].template[0].containers[0].volume_mounts[0].name == google_cloud_run_v2_service.this[0].template[0].volumes[0].name
    )
    error_message = "one volume has the sockets of all instances"
  }

  assert {
    condition = { for key, grant in google_project_iam_member.cloud_sql : key => [grant.project, grant.role, grant.condition[0].expression] } == {
      "my-project:europe-west2:shop"           = ["my-project", "roles/cloudsql.client", "resource.name == \"projects/my-project/instances/shop\" && resource.type == \"sqladmin.googleapis.com/Instance\""]
      "example.org:archive:europe-west1:books" = ["example.org:archive", "roles/cloudsql.client", "resource.name == \"projects/example.org:archive/instances/books\" && resource.type == \"sqladmin.googleapis.com/Instance\""]
    }
    error_message = "the role is granted on each instance's project, for that instance"
  }
}

run "without_volumes_nothing_is_mounted" {
  command = plan

  variables {
    function = { container_image = "image:1" }
  }

  assert {
    condition     = length(google_cloud_run_v2_service.this[0].template[0].volumes) == 0 && length(google_project_iam_member.cloud_sql) == 0
    error_message = "no volume, and no grant"
  }
}

run "volumes_and_files_of_secrets_are_mounted_and_granted" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      secrets = {
        API_KEY             = { secret = "api-key" }
        "/etc/keys/new.pem" = { secret = "signing-key" }
        "/etc/keys/old.pem" = { secret = "signing-key", version = "1" }
      }
      volumes = {
        "/mnt/scratch" = { memory = "128Mi" }
        "/mnt/reports" = { bucket = "my-reports" }
        "/mnt/prices"  = { bucket = "my-prices", read_only = true }
        "/mnt/all"     = { bucket = "my-reports", read_only = true }
      }
    }
  }

  assert {
    condition = {
      for mount in google_cloud_run_v2_service.this[0].template[0].containers[0].volume_mounts :
      mount.mount_path => [for volume in google_cloud_run_v2_service.this[0].template[0].volumes : one(concat(
        [for memory in volume.empty_dir : "${memory.medium} ${memory.size_limit}"],
        [for bucket in volume.gcs : "${bucket.bucket} ${bucket.read_only}"],
        [for secret in volume.secret : "${secret.secret} ${join(" ", sort([for file in secret.items : "${file.path}:${file.version}"]))}"],
      )) if volume.name == mount.name]
      } == {
      "/etc/keys"    = ["signing-key new.pem:latest old.pem:1"]
      "/mnt/scratch" = ["MEMORY 128Mi"]
      "/mnt/reports" = ["my-reports false"]
      "/mnt/prices"  = ["my-prices true"]
      "/mnt/all"     = ["my-reports true"]
    }
    error_message = "each is mounted at its path"
  }

  assert {
    condition     = [for env in google_cloud_run_v2_service.this[0].template[0].containers[0].env : env.name if length(env.value_source) > 0] == ["API_KEY"]
    error_message = "a file isn't a variable"
  }

  assert {
    condition     = { for bucket, grant in google_storage_bucket_iam_member.volume : bucket => grant.role } == { my-reports = "roles/storage.objectUser", my-prices = "roles/storage.objectViewer" }
    error_message = "it may write to a bucket that one of its volumes writes to"
  }

  assert {
    condition     = keys(google_secret_manager_secret_iam_member.run_time) == ["api-key", "signing-key"]
    error_message = "it may read the secrets of its files"
  }
}
