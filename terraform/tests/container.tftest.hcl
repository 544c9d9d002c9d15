# The container: what it is given, and how it runs.

mock_provider "google" {}

variables {
  name           = "orders"
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west2"
}

run "a_service_has_safe_defaults" {
  command = plan

  variables {
    function = { container_image = "image:1" }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && google_cloud_run_v2_service.this[0].deletion_protection
    error_message = "it is called from within only, and not deleted by mistake"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].timeout == "310s" && google_cloud_run_v2_service.this[0].template[0].max_instance_request_concurrency == 4
    error_message = "Cloud Run waits ten seconds longer than the task may take"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].containers[0].resources[0].cpu_idle && google_cloud_run_v2_service.this[0].template[0].containers[0].resources[0].startup_cpu_boost
    error_message = "CPUs cost during requests only, and help at the start"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].containers[0].startup_probe[0].http_get[0].path == "/healthy" && google_cloud_run_v2_service.this[0].template[0].containers[0].liveness_probe[0].http_get[0].path == "/healthy"
    error_message = "it is asked whether it is well"
  }

  assert {
    condition     = one(google_cloud_run_v2_service.this[0].traffic).type == "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST" && one(google_cloud_run_v2_service.this[0].traffic).percent == 100
    error_message = "the newest revision gets all, also after a roll-back by hand"
  }

  assert {
    condition     = { for env in google_cloud_run_v2_service.this[0].template[0].containers[0].env : env.name => env.value } == { GOOGLE_CLOUD_PROJECT = "my-project" }
    error_message = "it is told its project"
  }

  assert {
    condition     = length(google_cloud_run_v2_job.this) == 0 && google_cloud_run_v2_service.this[0].template[0].execution_environment == null
    error_message = "it is not a job, and Cloud Run chooses where it runs"
  }
}

run "a_service_gets_what_it_is_asked_for" {
  command = plan

  variables {
    function = {
      container_image     = "image:1"
      target              = "take_order"
      cpu                 = "2"
      memory              = "4Gi"
      timeout_seconds     = 60
      environment         = { CURRENCY = "GBP" }
      secrets             = { API_KEY = { secret = "api-key", version = "3" } }
      ingress             = "INGRESS_TRAFFIC_ALL"
      vpc_access          = { network = "net", subnetwork = "sub", tags = ["tasks"], egress = "ALL_TRAFFIC" }
      deletion_protection = false
    }
    concurrency = { max_concurrent_functions_per_instance = 80, min_instances = 1, max_instances = 7 }
    triggers    = { subscriptions = { orders = { ack_deadline_seconds = 120, dead_letter = { max_attempts = 20 } } } }
  }

  assert {
    condition = { for env in google_cloud_run_v2_service.this[0].template[0].containers[0].env : env.name => env.value if length(env.value_source) == 0 } == {
      CURRENCY                    = "GBP"
      FUNCTION_TARGET             = "take_order"
      GOOGLE_CLOUD_PROJECT        = "my-project"
      UCAM_FAAS_DEAD_LETTER_TOPIC = "projects/my-project/topics/orders-dead-letter"
      UCAM_FAAS_MAX_ATTEMPTS      = "20"
    }
    error_message = "the environment says which task, where its dead letters go, and after how many attempts"
  }

  assert {
    condition = [for env in google_cloud_run_v2_service.this[0].template[0].containers[0].env : [env.name, env.value_source[0].secret_key_ref[0].secret, env.value_source[0].secret_key_ref[0].version] if length(env.value_source) > 0] == [
      ["API_KEY", "api-key", "3"],
    ]
    error_message = "secrets are named, not read"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].containers[0].resources[0].limits == tomap({ cpu = "2", memory = "4Gi" })
    error_message = "CPUs and memory are as asked for"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].timeout == "130s"
    error_message = "Cloud Run waits at least as long as Pub/Sub"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].scaling[0].min_instance_count == 1 && google_cloud_run_v2_service.this[0].template[0].scaling[0].max_instance_count == 7 && google_cloud_run_v2_service.this[0].template[0].max_instance_request_concurrency == 80
    error_message = "instances and requests are as asked for"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].vpc_access[0].egress == "ALL_TRAFFIC" && google_cloud_run_v2_service.this[0].template[0].vpc_access[0].network_interfaces[0].network == "net" && google_cloud_run_v2_service.this[0].template[0].vpc_access[0].network_interfaces[0].tags == tolist(["tasks"])
    error_message = "it reaches the network"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].ingress == "INGRESS_TRAFFIC_ALL" && !google_cloud_run_v2_service.this[0].deletion_protection
    error_message = "ingress and protection are as asked for"
  }
}

run "a_connector_comes_without_interfaces" {
  command = plan

  variables {
    function = { container_image = "image:1", vpc_access = { connector = "projects/p/locations/l/connectors/c" } }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].vpc_access[0].connector == "projects/p/locations/l/connectors/c" && length(google_cloud_run_v2_service.this[0].template[0].vpc_access[0].network_interfaces) == 0
    error_message = "a connector, and nothing beside it"
  }
}

run "part_of_a_cpu_means_one_request_and_the_first_generation" {
  command = plan

  variables {
    function = { container_image = "image:1", cpu = "500m" }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].execution_environment == "EXECUTION_ENVIRONMENT_GEN1" && google_cloud_run_v2_service.this[0].template[0].max_instance_request_concurrency == 1
    error_message = "Cloud Run's rules for less than one CPU"
  }
}

run "the_longest_request_is_not_made_longer" {
  command = plan

  variables {
    function = { container_image = "image:1", timeout_seconds = 3600 }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].timeout == "3600s"
    error_message = "Cloud Run waits at most an hour"
  }
}

run "parts_of_seconds_are_whole_for_pubsub" {
  command = plan

  variables {
    function = { container_image = "image:1", timeout_seconds = 60.5 }
    triggers = { subscriptions = { orders = {} } }
  }

  assert {
    condition     = google_pubsub_subscription.push["orders"].ack_deadline_seconds == 61 && google_cloud_run_v2_service.this[0].template[0].timeout == "71s"
    error_message = "each waits at least as long as the one before"
  }
}

run "a_worker_pulls" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      target          = "take_order"
      run_as          = "worker"
      timeout_seconds = 36000
    }
    concurrency = { min_instances = 2 }
    triggers    = { subscriptions = { orders = { dead_letter = {} }, orders-inbox = {} } }
  }

  assert {
    condition     = length(google_cloud_run_v2_service.this) + length(google_cloud_run_v2_job.this) == 0 && google_cloud_run_v2_worker_pool.this[0].deletion_protection
    error_message = "it is a worker pool"
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].args == tolist(["worker"])
    error_message = "the image's entry point is told to work"
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].scaling[0].manual_instance_count == 2
    error_message = "it has as many instances as are asked for"
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].startup_probe[0].http_get[0].port == 8080 && length(google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].liveness_probe) == 0
    error_message = "it is probed at its start only"
  }

  assert {
    condition = { for env in google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].env : env.name => env.value } == {
      FUNCTION_TARGET             = "take_order"
      GOOGLE_CLOUD_PROJECT        = "my-project"
      UCAM_FAAS_DEAD_LETTER_TOPIC = "projects/my-project/topics/orders-dead-letter"
      UCAM_FAAS_HEALTH_PORT       = "8080"
      UCAM_FAAS_MAX_ATTEMPTS      = "8"
    }
    error_message = "it is told its task, and the port of its health endpoint"
  }

  assert {
    condition     = alltrue([for subscription in values(google_pubsub_subscription.push) : length(subscription.push_config) == 0 && subscription.ack_deadline_seconds == 600])
    error_message = "no subscription pushes, and the deadlines are Pub/Sub's longest"
  }

  assert {
    condition = (
      keys(google_pubsub_subscription_iam_member.pull) == ["orders", "orders-inbox"] && google_pubsub_subscription_iam_member.pull["orders"].role == "roles/pubsub.subscriber" &&
      keys(google_pubsub_subscription_iam_member.look_up) == ["orders", "orders-inbox"] && google_pubsub_subscription_iam_member.look_up["orders"].role == "roles/pubsub.viewer"
    )
    error_message = "the task's account may pull from each subscription, and look it up"
  }

  assert {
    condition     = length(google_service_account.push) + length(google_cloud_run_v2_service_iam_member.push) == 0 && output.service_accounts.push == null && output.service_uri == null
    error_message = "nothing calls it"
  }
}

run "an_autoscaler_sets_the_number_of_workers" {
  command = plan

  variables {
    function    = { container_image = "image:1", run_as = "worker" }
    concurrency = { min_instances = 0, max_instances = 5 }
    triggers    = { subscriptions = { orders = { dead_letter = {} } } }
  }

  assert {
    condition     = !can(google_cloud_run_v2_worker_pool.this[0].scaling[0].manual_instance_count)
    error_message = "Terraform leaves the number to it"
  }
}

run "schedules_of_a_worker_are_messages" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "worker" }
    triggers = { cron_schedules = { orders = { schedule = "0 3 * * *" } } }
  }

  assert {
    condition     = google_cloud_scheduler_job.schedule["orders"].pubsub_target[0].topic_name == "projects/my-project/topics/orders" && length(google_pubsub_subscription.push["orders"].push_config) == 0
    error_message = "it pulls them from a subscription of its own"
  }
}

run "a_job_runs_to_its_end" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      target          = "report"
      run_as          = "cloud-run-job"
      cpu             = "2"
      memory          = "4Gi"
      timeout_seconds = 7200
      max_retries     = 1
      environment     = { CURRENCY = "GBP" }
      secrets         = { API_KEY = { secret = "api-key" } }
      vpc_access      = { network = "net" }
    }
  }

  assert {
    condition     = length(google_cloud_run_v2_service.this) == 0 && google_cloud_run_v2_job.this[0].deletion_protection
    error_message = "it is not a service"
  }

  assert {
    condition     = google_cloud_run_v2_job.this[0].template[0].template[0].timeout == "7200s" && google_cloud_run_v2_job.this[0].template[0].template[0].max_retries == 1
    error_message = "time and retries are as asked for"
  }

  assert {
    condition = { for env in google_cloud_run_v2_job.this[0].template[0].template[0].containers[0].env : env.name => env.value if length(env.value_source) == 0 } == {
      CURRENCY             = "GBP"
      FUNCTION_TARGET      = "report"
      GOOGLE_CLOUD_PROJECT = "my-project"
      LONG_RUNNING         = "true"
    }
    error_message = "it is told to run once"
  }

  assert {
    condition     = google_cloud_run_v2_job.this[0].template[0].template[0].containers[0].resources[0].limits == tomap({ cpu = "2", memory = "4Gi" }) && google_cloud_run_v2_job.this[0].template[0].template[0].vpc_access[0].network_interfaces[0].network == "net"
    error_message = "CPUs, memory and network are as asked for"
  }
}

run "instances_stay_within_the_quotas_of_a_new_project" {
  command = plan

  variables {
    function = { container_image = "image:1" }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].scaling[0].max_instance_count == 20
    error_message = "20 CPUs are 20 instances with one"
  }
}

run "instances_with_much_memory_stay_within_its_quota" {
  command = plan

  variables {
    function = { container_image = "image:1", cpu = "2", memory = "8Gi" }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].scaling[0].max_instance_count == 5
    error_message = "40 GiB are 5 instances with 8"
  }
}

run "small_instances_are_a_hundred_at_most" {
  command = plan

  variables {
    function = { container_image = "image:1", cpu = "80m", memory = "128Mi" }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].scaling[0].max_instance_count == 100
    error_message = "100 is Cloud Run's own default"
  }
}

run "warm_instances_raise_the_maximum" {
  command = plan

  variables {
    function    = { container_image = "image:1" }
    concurrency = { min_instances = 30 }
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].scaling[0].max_instance_count == 30
    error_message = "the maximum is at least the minimum"
  }
}

run "cpus_at_all_times_audiences_and_annotations" {
  command = plan

  variables {
    function = {
      container_image  = "image:1"
      cpu_idle         = false
      custom_audiences = ["https://orders.example.org"]
      annotations      = { "example.org/owner" = "accounts" }
    }
  }

  assert {
    condition     = !google_cloud_run_v2_service.this[0].template[0].containers[0].resources[0].cpu_idle && google_cloud_run_v2_service.this[0].custom_audiences == tolist(["https://orders.example.org"]) && google_cloud_run_v2_service.this[0].annotations == tomap({ "example.org/owner" = "accounts" })
    error_message = "the service is as asked for"
  }
}

run "a_cloud_run_job_runs_in_parts" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "cloud-run-job", task_count = 12 }
  }

  assert {
    condition     = google_cloud_run_v2_job.this[0].template[0].task_count == 12 && google_cloud_run_v2_job.this[0].template[0].parallelism == 12
    error_message = "all parts at a time, unless it is told otherwise"
  }
}

run "a_cloud_run_job_runs_some_parts_at_a_time" {
  command = plan

  variables {
    function = { container_image = "image:1", run_as = "cloud-run-job", task_count = 12, parallelism = 4 }
  }

  assert {
    condition     = google_cloud_run_v2_job.this[0].template[0].parallelism == 4
    error_message = "at most four"
  }
}

run "sidecars_run_beside_the_task" {
  command = plan

  variables {
    function = {
      container_image = "image:1"
      sidecars        = { proxy = { image = "proxy:1", port = 5433 }, collector = { image = "otel:1" } }
    }
  }

  assert {
    condition     = [for container in google_cloud_run_v2_service.this[0].template[0].containers : "${container.name} ${container.image} ${length(container.ports)}"] == ["task image:1 1", "collector otel:1 0", "proxy proxy:1 0"]
    error_message = "the task's container comes first, and alone has a port for requests"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].containers[0].depends_on == tolist(["proxy"]) && google_cloud_run_v2_service.this[0].template[0].containers[2].startup_probe[0].tcp_socket[0].port == 5433
    error_message = "the task waits for the port of the one that has one"
  }
}
