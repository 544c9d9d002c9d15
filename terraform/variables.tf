# The README's table is made from this file: a comment after an attribute is its description.

variable "name" {
  description = "Name of the task in Cloud Run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,47}[a-z0-9])?$", var.name)) && !startswith(var.name, "goog")
    error_message = "name is \"${var.name}\"; expected 1 to 49 characters of a-z, 0-9 and -, beginning with a letter, not with goog, and not ending in -."
  }
}

variable "project" {
  description = "Id of the project to deploy to."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.project))
    error_message = "project is \"${var.project}\"; expected the id of a project (not its number or its full name): 6 to 30 characters of a-z, 0-9 and -."
  }
}

variable "project_number" {
  description = "Number of the project; it is part of the name of Pub/Sub's service agent. Default: looked up."
  type        = string
  default     = null

  validation {
    condition     = var.project_number == null || can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number is \"${coalesce(var.project_number, "null")}\"; expected digits. Set project to the project's id."
  }
}

variable "region" {
  description = "Region of Cloud Run and Cloud Scheduler."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is \"${var.region}\"; expected a region such as europe-west2."
  }
}

variable "function" {
  description = "The container, and its settings."
  nullable    = false
  type = object({
    container_image = optional(string)            # Image that holds the tasks. None: the deployed image stays, because something else deploys it; the first apply needs one.
    target          = optional(string)            # Name of the task in the code, as `FUNCTION_TARGET`. None: the image knows.
    run_as          = optional(string, "service") # `service`: Pub/Sub pushes messages to it. `worker`: `ucam-faas worker` pulls them. `cloud-run-job`: a schedule or a person starts it, and it runs once to its end.
    memory          = optional(string, "512Mi")   # Memory of an instance.
    cpu             = optional(string, "1")       # CPUs of an instance: 1, 2, 4, 6, 8, or from 0.08 to 1.
    timeout_seconds = optional(number, 300)       # Longest time from the arrival of a message or request to the answer, as in the code: up to 600 for messages, 3600 for requests, 604800 for workers and Cloud Run jobs.
    environment     = optional(map(string), {})   # Environment variables that are not secret.
    secrets = optional(map(object({               # Environment variables, and files, from Secret Manager. A name that begins with `/` is a file's path.
      secret  = string                            # Id of the secret, or `projects/P/secrets/S`.
      version = optional(string, "latest")        # Number or alias of the version.
    })), {})
    service_account = optional(string)                                  # Email of an existing account to run as; none: Terraform makes one for the task.
    ingress         = optional(string, "INGRESS_TRAFFIC_INTERNAL_ONLY") # Where requests may come from; Pub/Sub's pushes in the same project are internal.
    vpc_access = optional(object({                                      # Access to a VPC network: a connector, or direct egress.
      network    = optional(string)                                     # Network, for direct VPC egress.
      subnetwork = optional(string)                                     # Subnetwork, for direct VPC egress.
      tags       = optional(list(string), [])                           # Network tags for firewall rules, for direct VPC egress.
      connector  = optional(string)                                     # Serverless VPC Access connector, instead of a network.
      egress     = optional(string, "PRIVATE_RANGES_ONLY")              # Traffic that goes through the network: `PRIVATE_RANGES_ONLY` or `ALL_TRAFFIC`.
    }))
    cloud_sql = optional(list(string), []) # Cloud SQL instances whose sockets are in `/cloudsql`: the task is granted the access. Connection names, `P:R:I`.
    volumes = optional(map(object({        # Folders in memory, and buckets as folders: the task is granted the access. By path.
      memory    = optional(string)         # Size of a folder in the instance's memory, such as 256Mi.
      bucket    = optional(string)         # Name of a bucket, without gs://.
      read_only = optional(bool, false)    # The task may only read the bucket.
    })), {})
    sidecars = optional(map(object({          # Containers beside the task's, by name: they share its network and its account.
      image       = string                    # Image of the container.
      args        = optional(list(string))    # Arguments of its command. None: the image's.
      environment = optional(map(string), {}) # Environment variables that are not secret.
      cpu         = optional(string, "1")     # CPUs of the container, beside the task's.
      memory      = optional(string, "512Mi") # Memory of the container, beside the task's.
      port        = optional(number)          # Port that it opens when it is ready: the task's container starts after that.
    })), {})
    telemetry = optional(object({                  # Spans and metrics of OpenTelemetry, through a collector beside the task's container. None: none.
      collector = optional(string, "google-cloud") # Configuration of the collector: `google-cloud` sends to Cloud Trace and Cloud Monitoring, and grants the task the rights. Otherwise its YAML, as text.
      image     = optional(string)                 # Image of the collector. Default: the Google-built OpenTelemetry Collector 0.156.1.
      cpu       = optional(string, "1")            # CPUs of the collector, beside the task's.
      memory    = optional(string, "512Mi")        # Memory of the collector, beside the task's.
    }))
    cpu_idle         = optional(bool, true)       # An instance has its CPUs during requests only; with false always, at a cost.
    custom_audiences = optional(list(string), []) # Audiences of callers' tokens that Cloud Run takes beside the service's address.
    annotations      = optional(map(string), {})  # Annotations of the service, worker pool or Cloud Run job, for tools of your own.
    task_count       = optional(number, 1)        # Instances that each start of a Cloud Run job runs, each with a CLOUD_RUN_TASK_INDEX.
    parallelism      = optional(number)           # The most instances of a Cloud Run job that run at a time. Default: `task_count`.
    publishes_to     = optional(list(string), []) # Topics that the task may publish to: short names in this project, or `projects/P/topics/T`.
    roles = optional(list(object({                # Further roles of the account that the task runs as, each on one resource.
      role = string                               # Such as `roles/storage.objectUser`; on projects, only roles that exist on nothing smaller.
      on   = string                               # `gs://B`, or the full name of a topic, subscription, secret, dataset, service, Cloud Run job, queue, key, service account or project: `projects/P/topics/T`.
    })), [])
    invokers            = optional(list(string), []) # IAM members that may call the service or run the Cloud Run job, such as `group:team@example.org`.
    deletion_protection = optional(bool, true)       # Terraform refuses to delete the service, worker pool or Cloud Run job, its topics and its subscriptions.
    max_retries         = optional(number, 3)        # Cloud Run jobs: how often an execution that failed is run again.
  })

  validation {
    condition     = var.function.container_image == null || can(regex("^[^[:space:]]+$", var.function.container_image))
    error_message = "function.container_image is \"${coalesce(var.function.container_image, "null")}\"; expected an image such as europe-docker.pkg.dev/my-project/tasks/tasks:1.2.3."
  }

  validation {
    condition     = var.function.target == null || can(regex("^[^[:space:]/,]+$", var.function.target))
    error_message = "function.target is \"${coalesce(var.function.target, "null")}\"; expected the name of one task, as in the code."
  }

  validation {
    condition     = contains(["service", "worker", "cloud-run-job"], var.function.run_as)
    error_message = "function.run_as is \"${var.function.run_as}\"; expected service, worker or cloud-run-job.${var.function.run_as == "job" ? " job is the earlier name of cloud-run-job: write that, or run `ucam-faas plan` again. Its resources stay." : ""}"
  }

  validation {
    condition     = can(regex("^[0-9]{1,6}([.][0-9]{1,3})?(Mi|Gi|M|G)$", var.function.memory))
    error_message = "function.memory is \"${var.function.memory}\"; expected an amount such as 512Mi or 2Gi."
  }

  validation {
    condition = can(regex("^([1-9]|[0-9][.][0-9]{1,3}|[0-9]{2,4}m)$", var.function.cpu)) && try(anytrue([
      for cpus in [tonumber(trimsuffix(var.function.cpu, "m")) / (endswith(var.function.cpu, "m") ? 1000 : 1)] :
      contains([1, 2, 4, 6, 8], cpus) || (cpus >= 0.08 && cpus < 1 && var.function.run_as == "service")
    ]), false)
    error_message = "function.cpu is \"${var.function.cpu}\"; Cloud Run has 1, 2, 4, 6 and 8 CPUs, and for a service also from 0.08 to 1 (500m is 0.5)."
  }

  # The pair. A value that is wrong by itself has its own message above. Locals cannot be used: they come after this.
  validation {
    condition = try(anytrue([
      for size in [{
        cpus = tonumber(trimsuffix(var.function.cpu, "m")) / (endswith(var.function.cpu, "m") ? 1000 : 1)
        mib  = tonumber(regex("^[0-9.]+", var.function.memory)) * { Mi = 1, Gi = 1024, M = 1000000 / 1048576, G = 1000000000 / 1048576 }[regex("[A-Z]i?$", var.function.memory)]
      }] :
      size.mib >= (size.cpus < 4 ? (var.function.run_as == "service" ? 128 : 512) : size.cpus == 4 ? 2048 : 4096) &&
      size.mib <= (size.cpus < 0.5 ? 512 : size.cpus < 1 ? 1024 : { 1 = 4096, 2 = 8192, 4 = 16384, 6 = 24576, 8 = 32768 }[size.cpus])
    ]), true)
    error_message = "function.memory is \"${var.function.memory}\" with function.cpu \"${var.function.cpu}\". Cloud Run's rules: 128Mi (a worker pool or Cloud Run job: 512Mi) to 4Gi with 1 CPU, to 8Gi with 2; 2Gi to 16Gi with 4; 4Gi to 24Gi with 6; 4Gi to 32Gi with 8; at most 512Mi below 0.5 CPU, and 1Gi below 1."
  }

  validation {
    condition     = var.function.timeout_seconds >= 1 && var.function.timeout_seconds <= (var.function.run_as == "service" ? 3600 : 604800)
    error_message = "function.timeout_seconds is ${var.function.timeout_seconds}; Cloud Run accepts 1 to 3600 for a service, and up to 604800 for run_as = \"worker\" or \"cloud-run-job\"."
  }

  validation {
    condition     = alltrue([for name in concat(keys(var.function.environment), keys(var.function.secrets)) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) || (startswith(name, "/") && contains(keys(var.function.secrets), name))])
    error_message = "function.environment and function.secrets: expected names of environment variables (letters, digits and _, not beginning with a digit); found ${join(", ", concat(keys(var.function.environment), keys(var.function.secrets)))}."
  }

  validation {
    condition = alltrue([
      for name in concat(keys(var.function.environment), keys(var.function.secrets)) :
      !can(regex("^(PORT|FUNCTION_TARGET|GOOGLE_CLOUD_PROJECT|LONG_RUNNING|UCAM_FAAS_DEAD_LETTER_TOPIC|UCAM_FAAS_HEALTH_PORT|UCAM_FAAS_MAX_ATTEMPTS|(K|CLOUD_RUN|X_GOOGLE)_.*)$", name))
    ])
    error_message = "function.environment and function.secrets: PORT, K_…, CLOUD_RUN_… and X_GOOGLE_… are Cloud Run's, and FUNCTION_TARGET, GOOGLE_CLOUD_PROJECT, LONG_RUNNING, UCAM_FAAS_DEAD_LETTER_TOPIC, UCAM_FAAS_HEALTH_PORT and UCAM_FAAS_MAX_ATTEMPTS are set by this module (function.target, project, function.run_as, dead_letter)."
  }

  validation {
    condition     = length(setintersection(keys(var.function.environment), keys(var.function.secrets))) == 0
    error_message = "In function.environment and in function.secrets: ${join(", ", setintersection(keys(var.function.environment), keys(var.function.secrets)))}. Keep one of them."
  }

  validation {
    condition = alltrue([
      for secret in values(var.function.secrets) :
      can(regex("^(projects/[^/]+/secrets/)?[A-Za-z0-9_-]{1,255}$", secret.secret))
    ])
    error_message = "function.secrets: expected the id of a secret (letters, digits, - and _), or projects/P/secrets/S, in secret; set its version in version. The secret's value does not belong here."
  }

  validation {
    condition = alltrue([
      for secret in values(var.function.secrets) :
      can(regex("^(latest|[1-9][0-9]*|[A-Za-z][A-Za-z0-9_-]{0,62})$", secret.version))
    ])
    error_message = "function.secrets: expected latest, a number or an alias in version; found ${join(", ", [for secret in values(var.function.secrets) : secret.version])}."
  }

  validation {
    condition     = var.function.service_account == null || can(regex("^[^@:[:space:]]+@[^@:[:space:]]+$", var.function.service_account))
    error_message = "function.service_account is \"${coalesce(var.function.service_account, "null")}\"; expected the email of a service account, without serviceAccount:."
  }

  validation {
    condition     = contains(["INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"], var.function.ingress)
    error_message = "function.ingress is \"${var.function.ingress}\"; expected INGRESS_TRAFFIC_ALL, INGRESS_TRAFFIC_INTERNAL_ONLY or INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER."
  }

  validation {
    condition     = var.function.vpc_access == null || try((var.function.vpc_access.connector != null) != (var.function.vpc_access.network != null || var.function.vpc_access.subnetwork != null), false)
    error_message = "function.vpc_access: set network, subnetwork or both; or connector alone."
  }

  validation {
    condition     = var.function.vpc_access == null || try(contains(["PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"], var.function.vpc_access.egress), false)
    error_message = "function.vpc_access.egress: expected PRIVATE_RANGES_ONLY or ALL_TRAFFIC."
  }

  validation {
    condition     = alltrue([for instance in var.function.cloud_sql : can(regex("^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]:[a-z]+-[a-z]+[0-9]+:[a-z][-a-z0-9]*$", instance))])
    error_message = "function.cloud_sql: expected connection names of instances, such as my-project:europe-west2:shop; found ${join(", ", var.function.cloud_sql)}."
  }

  validation {
    condition     = alltrue([for path in concat(keys(var.function.volumes), [for path in keys(var.function.secrets) : path if startswith(path, "/")]) : can(regex("^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$", path))])
    error_message = "function.volumes and function.secrets: expected paths of folders and files, such as /mnt/reports and /etc/keys/api; found ${join(", ", concat(keys(var.function.volumes), [for path in keys(var.function.secrets) : path if startswith(path, "/")]))}."
  }

  validation {
    condition     = alltrue([for path in concat(keys(var.function.volumes), [for path in keys(var.function.secrets) : dirname(path) if startswith(path, "/")]) : !can(regex("^(/|/(dev|proc|sys|cloudsql|usr|srv/(app|tasks|venv))(/.*)?|/(bin|etc|home|lib|lib64|opt|root|sbin|srv|var))$", path))])
    error_message = "function.volumes and function.secrets: a folder of files or of a volume would hide files of the container; use one of its own. Found ${join(", ", keys(var.function.volumes))} ${join(", ", keys(var.function.secrets))}."
  }

  validation {
    condition = length(setintersection(keys(var.function.volumes), [for path in keys(var.function.secrets) : dirname(path) if startswith(path, "/")])) == 0 && alltrue([
      for secrets in values({ for path, secret in var.function.secrets : dirname(path) => secret.secret... if startswith(path, "/") }) : length(distinct(secrets)) == 1
    ])
    error_message = "function.volumes and function.secrets: Cloud Run mounts one volume, or one secret, in a folder; found ${join(", ", concat(keys(var.function.volumes), keys(var.function.secrets)))}."
  }

  validation {
    condition     = alltrue([for volume in values(var.function.volumes) : (volume.memory == null) != (volume.bucket == null)])
    error_message = "function.volumes: set memory or bucket."
  }

  validation {
    condition     = alltrue([for volume in values(var.function.volumes) : volume.memory == null || can(regex("^[1-9][0-9]{0,5}(Mi|Gi)$", volume.memory))])
    error_message = "function.volumes: expected an amount of memory such as 256Mi; found ${join(", ", compact(values(var.function.volumes)[*].memory))}."
  }

  validation {
    condition     = alltrue([for volume in values(var.function.volumes) : volume.bucket == null || can(regex("^[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]$", volume.bucket))])
    error_message = "function.volumes: expected names of buckets, without gs://; found ${join(", ", compact(values(var.function.volumes)[*].bucket))}."
  }

  validation {
    condition     = alltrue([for volume in values(var.function.volumes) : volume.bucket == null]) || !can(regex("^(0|[0-9]+m)| ([1-4]?[0-9]{1,2}|50[0-9]|51[01])Mi", "${var.function.cpu} ${var.function.memory}"))
    error_message = "function.volumes: a bucket needs at least one CPU and 512Mi of memory."
  }

  validation {
    condition = alltrue([
      for grant in var.function.roles :
      can(regex("^(gs://[a-z0-9][a-z0-9._-]+|projects/[^/ ]+(/(topics|subscriptions|secrets|datasets)/[^/ ]+|/serviceAccounts/[^/ ]+@[^/ ]+|/locations/[^/ ]+/(services|jobs|queues|keyRings/[^/ ]+/cryptoKeys)/[^/ ]+)?)$", grant.on)) &&
      can(regex("^(roles/[a-z][A-Za-z0-9.]+|(projects|organizations)/[^/]+/roles/[A-Za-z0-9_.]+)$", grant.role)) &&
      !contains(["roles/owner", "roles/editor", "roles/viewer"], grant.role)
    ])
    error_message = "function.roles: expected roles on gs://B or on the full name of a topic, subscription, secret, dataset, service, Cloud Run job, queue, key, service account or project; found ${join(", ", [for grant in var.function.roles : "${grant.role} on ${grant.on}"])}."
  }

  validation {
    condition = alltrue([
      for grant in var.function.roles : contains(["roles/aiplatform.user", "roles/bigquery.jobUser", "roles/bigquery.readSessionUser", "roles/cloudprofiler.agent", "roles/cloudsql.instanceUser", "roles/cloudtrace.agent", "roles/cloudtranslate.user", "roles/dlp.user", "roles/documentai.apiUser", "roles/monitoring.metricWriter", "roles/telemetry.writer", "roles/workflows.invoker"], grant.role)
      if can(regex("^projects/[^/]+$", grant.on))
    ])
    error_message = "function.roles: grant a role on the one resource that needs it. On projects, the module grants aiplatform.user, bigquery.jobUser, bigquery.readSessionUser, cloudprofiler.agent, cloudsql.instanceUser, cloudtrace.agent, cloudtranslate.user, dlp.user, documentai.apiUser, monitoring.metricWriter, telemetry.writer, workflows.invoker."
  }

  validation {
    condition     = alltrue([for topic in var.function.publishes_to : can(regex(local.topic_form, topic)) && !can(regex("^goog", topic))])
    error_message = "function.publishes_to: expected names of topics, or projects/P/topics/T; found ${join(", ", var.function.publishes_to)}. ${local.name_rules}"
  }

  validation {
    condition     = alltrue([for member in var.function.invokers : can(regex("^(allUsers|allAuthenticatedUsers|(user|group|serviceAccount|domain|principal|principalSet):.+)$", member))])
    error_message = "function.invokers: expected IAM members such as group:team@example.org; found ${join(", ", var.function.invokers)}."
  }

  validation {
    condition     = alltrue([for name in keys(var.function.sidecars) : can(regex("^[a-z]([-a-z0-9]{0,47}[a-z0-9])?$", name)) && name != "task"])
    error_message = "function.sidecars: expected names of a-z, 0-9 and -, other than task; found ${join(", ", keys(var.function.sidecars))}."
  }

  validation {
    condition     = length(var.function.sidecars) <= (var.function.telemetry == null ? 9 : 8)
    error_message = "function.sidecars: Cloud Run runs at most 10 containers in an instance${var.function.telemetry == null ? "" : ", and one is the collector of function.telemetry"}."
  }

  validation {
    condition = alltrue([
      for container in concat([for sidecar in values(var.function.sidecars) : [sidecar.cpu, sidecar.memory]], [for telemetry in var.function.telemetry[*] : [telemetry.cpu, telemetry.memory]]) :
      can(regex("^([1-9]|[0-9][.][0-9]{1,3}|[0-9]{2,4}m)$", container[0])) && can(regex("^[0-9]{1,6}([.][0-9]{1,3})?(Mi|Gi|M|G)$", container[1]))
    ])
    error_message = "function.sidecars and function.telemetry: expected a number of CPUs such as 1 or 0.5 in cpu, and an amount such as 512Mi in memory."
  }

  validation {
    condition     = var.function.telemetry == null || !contains(keys(var.function.sidecars), "collector")
    error_message = "function.sidecars: the collector of function.telemetry has the name collector. Rename yours, or remove one of them."
  }

  validation {
    condition     = var.function.telemetry == null || alltrue([for sidecar in values(var.function.sidecars) : !contains([4318, 13133], coalesce(sidecar.port, 0))])
    error_message = "function.sidecars: the collector of function.telemetry has the ports 4318 and 13133."
  }

  validation {
    condition     = var.function.telemetry == null || !contains(concat(keys(var.function.environment), keys(var.function.secrets)), "OTEL_EXPORTER_OTLP_ENDPOINT")
    error_message = "function.environment and function.secrets: OTEL_EXPORTER_OTLP_ENDPOINT is the address of the collector of function.telemetry. Remove one of them."
  }

  validation {
    condition     = try(var.function.telemetry.collector == "google-cloud" || can(keys(yamldecode(var.function.telemetry.collector).service.pipelines)), var.function.telemetry == null)
    error_message = "function.telemetry.collector: expected google-cloud, or the YAML of a collector's configuration, with service.pipelines."
  }

  validation {
    condition     = alltrue([for sidecar in values(var.function.sidecars) : try(sidecar.port >= 1 && sidecar.port <= 65535 && sidecar.port != 8080, sidecar.port == null)])
    error_message = "function.sidecars: expected a port from 1 to 65535, other than the task's 8080."
  }

  validation {
    condition     = var.function.cpu_idle || !can(regex("^(0|[0-9]+m)| ([1-4]?[0-9]{1,2}|50[0-9]|51[01])Mi", "${var.function.cpu} ${var.function.memory}"))
    error_message = "function.cpu_idle: false needs at least one CPU and 512Mi of memory."
  }

  validation {
    condition     = alltrue([for name in keys(var.function.annotations) : !can(regex("(googleapis[.]com|knative[.]dev)/", name))])
    error_message = "function.annotations: those of Cloud Run itself have options; found ${join(", ", keys(var.function.annotations))}."
  }

  validation {
    condition     = alltrue([for count in [var.function.task_count, coalesce(var.function.parallelism, 1)] : count >= 1 && count <= 10000 && floor(count) == count]) && coalesce(var.function.parallelism, 1) <= var.function.task_count
    error_message = "function.task_count is ${var.function.task_count}, and function.parallelism ${coalesce(var.function.parallelism, var.function.task_count)}; expected 1 to 10000, and at most task_count at a time."
  }

  validation {
    condition     = var.function.max_retries >= 0 && var.function.max_retries <= 10 && floor(var.function.max_retries) == var.function.max_retries
    error_message = "function.max_retries is ${var.function.max_retries}; Cloud Run jobs accept 0 to 10."
  }
}

variable "concurrency" {
  description = "Executions and instances at a time."
  nullable    = false
  default     = {}
  type = object({
    max_concurrent_functions_per_instance = optional(number)    # Executions at a time in an instance. Default: 4; 1 with less than one CPU.
    min_instances                         = optional(number, 0) # Instances that are kept warm and cost also when idle; for a worker, their number, unless an autoscaler sets it.
    max_instances                         = optional(number)    # The most instances at a time; for a worker, the most that an autoscaler sets. Default for a service: as many as a new project's quotas of a region allow, 20 CPUs and 40 GiB, and at most 100.
  })

  validation {
    condition     = try(var.concurrency.max_concurrent_functions_per_instance >= 1 && var.concurrency.max_concurrent_functions_per_instance <= 1000 && floor(var.concurrency.max_concurrent_functions_per_instance) == var.concurrency.max_concurrent_functions_per_instance, var.concurrency.max_concurrent_functions_per_instance == null)
    error_message = "concurrency.max_concurrent_functions_per_instance is ${coalesce(var.concurrency.max_concurrent_functions_per_instance, 0)}; Cloud Run accepts 1 to 1000."
  }

  validation {
    condition     = var.concurrency.max_concurrent_functions_per_instance == null || try(local.cpus >= 1 || var.concurrency.max_concurrent_functions_per_instance == 1, true)
    error_message = "concurrency.max_concurrent_functions_per_instance must be 1 with less than one CPU (Cloud Run's rule); function.cpu is \"${var.function.cpu}\"."
  }

  validation {
    condition     = var.concurrency.min_instances >= 0 && floor(var.concurrency.min_instances) == var.concurrency.min_instances
    error_message = "concurrency.min_instances is ${var.concurrency.min_instances}; expected 0 or more."
  }

  validation {
    condition     = try(var.concurrency.max_instances >= 1 && floor(var.concurrency.max_instances) == var.concurrency.max_instances, var.concurrency.max_instances == null)
    error_message = "concurrency.max_instances is ${coalesce(var.concurrency.max_instances, 0)}; expected 1 or more."
  }

  validation {
    condition     = try(var.concurrency.min_instances <= var.concurrency.max_instances, var.concurrency.max_instances == null)
    error_message = "concurrency.min_instances is ${var.concurrency.min_instances}, more than concurrency.max_instances, which is ${coalesce(var.concurrency.max_instances, 0)}."
  }
}

variable "triggers" {
  description = "Subscriptions and schedules that start the task. The keys are the names of the subscriptions and of the Cloud Scheduler jobs, which are unique in the project. A service with schedules and no subscription gets a topic and a subscription named after the task."
  nullable    = false
  default     = {}
  type = object({
    subscriptions = optional(map(object({                   # Subscriptions: they push to a service, and a worker pulls from them.
      existing                  = optional(bool, false)     # The subscription exists in this project, and its owner sets all but `path`. A worker is granted to pull it; for a service, its owner sets the push of `push_endpoints`.
      topic                     = optional(string)          # Topic whose messages the task gets: a short name in this project, or `projects/P/topics/T`. Default: the name of the subscription.
      create_topic              = optional(bool, false)     # Make the topic. Otherwise it exists.
      filter                    = optional(string)          # Which messages the task gets, by their attributes; the others are acknowledged.
      ordered                   = optional(bool, false)     # Messages with one ordering key come one after the other.
      wrapped                   = optional(bool, true)      # Messages come in Pub/Sub's JSON. False: the data alone, and the rest in headers.
      path                      = optional(string)          # Path of the push. Default: `/TARGET`.
      ack_deadline_seconds      = optional(number)          # How long Pub/Sub waits for the answer. Default: the timeout, and at least 10.
      message_retention_seconds = optional(number, 604800)  # How long the subscription keeps a message.
      labels                    = optional(map(string), {}) # Labels of this subscription.
      retry = optional(object({                             # How often and how soon Pub/Sub delivers a message again: the waits. The attempts are `dead_letter.max_attempts`.
        min_backoff_seconds = optional(number, 10)          # After the first failure.
        max_backoff_seconds = optional(number, 600)         # At most.
      }), {})
      dead_letter = optional(object({       # Dead letters: messages that keep failing. None: a message is delivered until it expires, and is then lost. `{}`: all defaults.
        max_attempts = optional(number, 8)  # Deliveries before it is put aside.
        topic        = optional(string)     # Topic for messages that failed, which exists. Default: `SUBSCRIPTION-dead-letter`, made with a subscription that keeps messages for 31 days.
        subscription = optional(string)     # Name of the subscription that keeps the messages of that existing topic, to be watched by the alert.
        grant        = optional(bool, true) # Let Pub/Sub publish to that existing topic. False: you grant it yourself.
      }))
    })), {})
    cron_schedules = optional(any, {}) # When Cloud Scheduler publishes to the topic, or starts the Cloud Run job. A list of schedules, as 1.0 took it, names them after the task.
    # schedule   = string                      # Five fields: minute, hour, day of month, month, day of week.
    # time_zone  = optional(string, "Etc/UTC") # Time zone of the schedule.
    # paused     = optional(bool, false)       # Made, but not run.
    # data       = optional(string)            # Data of the message, in base64. Default, if there are no attributes: `{}`.
    # attributes = optional(map(string), {})   # Attributes of the message.
    # topic      = optional(string)            # Topic of the message. Default: that of the subscription.
  })

  validation {
    condition     = alltrue([for name in keys(var.triggers.subscriptions) : can(regex(local.name_form, name)) && !startswith(name, "goog")])
    error_message = "triggers.subscriptions: found ${join(", ", keys(var.triggers.subscriptions))}. ${local.name_rules}"
  }

  validation {
    condition = alltrue([
      for name, subscription in var.triggers.subscriptions :
      length(name) <= (var.dead_letter_archive == null ? 243 : 235) if subscription.dead_letter == null ? false : subscription.dead_letter.topic == null
    ])
    error_message = "triggers.subscriptions: a name with dead letters has at most 243 characters, because \"-dead-letter\" is appended, and 235 with dead_letter_archive (\"-dead-letter-archive\")."
  }

  validation {
    condition     = alltrue([for name, subscription in var.triggers.subscriptions : can(regex(local.topic_form, coalesce(subscription.topic, name))) && !startswith(coalesce(subscription.topic, name), "goog")])
    error_message = "triggers.subscriptions.….topic: expected the name of a topic, or projects/P/topics/T; found ${join(", ", [for name, subscription in var.triggers.subscriptions : coalesce(subscription.topic, name)])}. ${local.name_rules}"
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : !startswith(coalesce(subscription.topic, "-"), "projects/") if subscription.create_topic])
    error_message = "triggers.subscriptions.….create_topic: the topic is made in this project, so set topic to its short name."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : length(coalesce(subscription.filter, "-")) <= 256])
    error_message = "triggers.subscriptions.….filter: Pub/Sub accepts up to 256 bytes."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.path == null || can(regex("^/[^[:space:]?#]*$", subscription.path))])
    error_message = "triggers.subscriptions.….path: expected a path that begins with /, such as /count_orders."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.ack_deadline_seconds == null || try(subscription.ack_deadline_seconds >= 10 && subscription.ack_deadline_seconds <= 600 && floor(subscription.ack_deadline_seconds) == subscription.ack_deadline_seconds, false)])
    error_message = "triggers.subscriptions.….ack_deadline_seconds: Pub/Sub accepts whole seconds, 10 to 600."
  }

  validation {
    condition     = var.function.run_as != "service" || length(var.triggers.subscriptions) == 0 || var.function.timeout_seconds <= 600
    error_message = "function.timeout_seconds is ${var.function.timeout_seconds}, but Pub/Sub waits at most 600 seconds for the answer to a push. Make the task faster, let a worker pull (function.run_as = \"worker\"), or run it as a Cloud Run job (\"cloud-run-job\")."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.ack_deadline_seconds == null || try(subscription.ack_deadline_seconds >= min(600, var.function.timeout_seconds), false)])
    error_message = "triggers.subscriptions.….ack_deadline_seconds is less than function.timeout_seconds, which is ${var.function.timeout_seconds}: Pub/Sub would deliver a message again while the task is still running."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.message_retention_seconds >= 600 && subscription.message_retention_seconds <= 2678400])
    error_message = "triggers.subscriptions.….message_retention_seconds: Pub/Sub accepts 600 (ten minutes) to 2678400 (31 days)."
  }

  validation {
    condition = alltrue(flatten([
      for subscription in values(var.triggers.subscriptions) :
      [for seconds in values(subscription.retry) : seconds >= 0 && seconds <= 600]
    ]))
    error_message = "triggers.subscriptions.….retry: Pub/Sub accepts 0 to 600 for min_backoff_seconds and max_backoff_seconds."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.retry.min_backoff_seconds <= subscription.retry.max_backoff_seconds])
    error_message = "triggers.subscriptions.….retry: min_backoff_seconds is more than max_backoff_seconds."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : subscription.dead_letter == null || try(subscription.dead_letter.max_attempts >= 5 && subscription.dead_letter.max_attempts <= 100 && floor(subscription.dead_letter.max_attempts) == subscription.dead_letter.max_attempts, false)])
    error_message = "triggers.subscriptions.….dead_letter.max_attempts: Pub/Sub accepts 5 to 100."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : try(subscription.dead_letter.topic, null) == null || try(can(regex(local.topic_form, subscription.dead_letter.topic)) && !startswith(subscription.dead_letter.topic, "goog"), false)])
    error_message = "triggers.subscriptions.….dead_letter.topic: expected the name of a topic, or projects/P/topics/T. ${local.name_rules}"
  }

  validation {
    condition = alltrue([
      for name, subscription in var.triggers.subscriptions :
      try(subscription.dead_letter.topic, null) == null || try(subscription.dead_letter.topic != coalesce(subscription.topic, name), false)
    ])
    error_message = "triggers.subscriptions.….dead_letter.topic is the topic that the subscription reads: a failing message would come back again and again."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : try(subscription.dead_letter.topic, null) != null || try(subscription.dead_letter.subscription, null) == null && try(subscription.dead_letter.grant, true)])
    error_message = "triggers.subscriptions.….dead_letter: subscription and grant are for an existing topic; set topic, or leave them out."
  }

  validation {
    condition     = alltrue([for subscription in values(var.triggers.subscriptions) : alltrue([for key, value in subscription.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])])
    error_message = "triggers.subscriptions.….labels: ${local.label_rules}"
  }

  validation {
    condition = alltrue([
      for subscription in values(var.triggers.subscriptions) :
      subscription.topic == null && !subscription.create_topic && subscription.filter == null && !subscription.ordered && subscription.wrapped &&
      subscription.ack_deadline_seconds == null && subscription.message_retention_seconds == 604800 && length(subscription.labels) == 0 &&
      subscription.retry.min_backoff_seconds == 10 && subscription.retry.max_backoff_seconds == 600 && subscription.dead_letter == null
      if subscription.existing
    ])
    error_message = "triggers.subscriptions.….existing: the owner of ${join(", ", [for name, subscription in var.triggers.subscriptions : name if subscription.existing])} sets its topic, filter, ordering, deadline, retention, labels, retries and dead letters. Leave them out, or leave out existing."
  }

  validation {
    condition     = !anytrue(values(var.triggers.subscriptions)[*].existing) || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) != null]), true)
    error_message = "triggers.cron_schedules.….topic: the topic of an existing subscription isn't known here; name the topic to which the schedule publishes."
  }

  validation {
    condition     = var.function.run_as != "cloud-run-job" || length(var.triggers.subscriptions) == 0
    error_message = "triggers.subscriptions: Pub/Sub cannot push messages to a Cloud Run job (function.run_as)."
  }

  # The checks of a type: it can't be a map of objects and a list.
  validation {
    condition = try(alltrue([
      for schedule in var.triggers.cron_schedules : can(tostring(schedule)) ? true : (
        length(setsubtract(keys(schedule), ["schedule", "time_zone", "paused", "data", "attributes", "topic"])) == 0 &&
        alltrue([for text in [schedule.schedule, try(schedule.time_zone, null), try(schedule.data, null), try(schedule.topic, null)] : can(tostring(text))]) &&
        can(tobool(try(schedule.paused, null))) &&
        (try(schedule.attributes, null) == null ? true : can({ for key, value in schedule.attributes : key => tostring(value) }))
      )
    ]), false)
    error_message = "triggers.cron_schedules: expected objects by name, each with a schedule, and optionally time_zone, paused (true or false), data, attributes (texts by name) and topic; or a list of schedules, such as [\"0 3 * * *\"]."
  }

  validation {
    condition     = try(alltrue([for name, _ in var.triggers.cron_schedules : can(regex("^[a-zA-Z0-9_-]{1,500}$", tostring(name)))]), true)
    error_message = "triggers.cron_schedules: found ${try(join(", ", [for name, _ in var.triggers.cron_schedules : name]), "none")}; names of Cloud Scheduler jobs have letters, digits, - and _."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : can(regex("^[-0-9A-Za-z*,/]+( +[-0-9A-Za-z*,/]+){4}$", try(schedule.schedule, schedule)))]), true)
    error_message = "triggers.cron_schedules.….schedule: expected five fields (minute, hour, day of month, month, day of week), such as \"0 3 * * *\"; found ${try(join(" | ", [for schedule in var.triggers.cron_schedules : coalesce(tostring(try(schedule.schedule, schedule)))]), "none")}."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.time_zone, null) == null || can(regex("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", schedule.time_zone))]), true)
    error_message = "triggers.cron_schedules.….time_zone: expected a name of the tz database, such as Europe/London; found ${try(join(" | ", [for schedule in var.triggers.cron_schedules : try(coalesce(tostring(schedule.time_zone)), "Etc/UTC")]), "none")}."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.data, null) == null || can(regex("^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", schedule.data))]), true)
    error_message = "triggers.cron_schedules.….data: expected base64, such as base64encode(\"{}\")."
  }

  validation {
    condition = try(alltrue([
      for schedule in var.triggers.cron_schedules : try(length(schedule.attributes), 0) <= 100 && alltrue([
        for key, value in try(schedule.attributes, null) == null ? {} : schedule.attributes : length(key) >= 1 && length(key) <= 256 && length(value) <= 1024 && !startswith(key, "goog")
      ])
    ]), true)
    error_message = "triggers.cron_schedules.….attributes: Pub/Sub accepts up to 100, with keys of 1 to 256 bytes that do not begin with goog, and values of up to 1024 bytes."
  }

  validation {
    condition     = try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) == null || try(can(regex(local.topic_form, schedule.topic)) && !startswith(schedule.topic, "goog"), false)]), true)
    error_message = "triggers.cron_schedules.….topic: expected the name of a topic, or projects/P/topics/T. ${local.name_rules}"
  }

  # Cloud Scheduler publishes to topics of its own project only.
  validation {
    condition = var.function.run_as == "cloud-run-job" || try(alltrue([
      for schedule in var.triggers.cron_schedules : alltrue([
        for topic in [try(coalesce(schedule.topic), one([for name, subscription in var.triggers.subscriptions : coalesce(subscription.topic, name)]), "")] :
        !startswith(topic, "projects/") || startswith(topic, "projects/${var.project}/")
      ])
    ]), true)
    error_message = "triggers.cron_schedules: Cloud Scheduler publishes to topics of its own project, ${var.project}, only. Give the schedule to a second task, with a topic of this project."
  }

  validation {
    condition     = length(var.triggers.subscriptions) <= 1 || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) != null]), true)
    error_message = "triggers.cron_schedules.….topic: with several subscriptions, name the topic to which the schedule publishes."
  }

  validation {
    condition     = var.function.run_as == "cloud-run-job" || length(var.triggers.subscriptions) > 0 || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.topic, null) == null]), true)
    error_message = "triggers.cron_schedules.….topic: no task reads that topic; give the task a subscription to it in triggers.subscriptions."
  }

  validation {
    condition     = var.function.run_as != "cloud-run-job" || try(alltrue([for schedule in var.triggers.cron_schedules : try(schedule.data, null) == null && try(schedule.topic, null) == null && try(length(schedule.attributes), 0) == 0]), true)
    error_message = "triggers.cron_schedules: a schedule starts a Cloud Run job (function.run_as) without a message; leave out data, attributes and topic."
  }

  validation {
    condition     = var.function.run_as == "cloud-run-job" || try(length(var.triggers.cron_schedules), 0) == 0 || length(var.triggers.subscriptions) > 0 || length(var.name) >= 3
    error_message = "name is \"${var.name}\", too short for the topic and the subscription of its schedules (at least 3 characters). Name them in triggers.subscriptions."
  }

  validation {
    condition     = var.function.run_as != "service" || try(length(var.triggers.cron_schedules), 0) == 0 || length(var.triggers.subscriptions) > 0 || var.function.timeout_seconds <= 600
    error_message = "function.timeout_seconds is ${var.function.timeout_seconds}, but schedules use Pub/Sub, which waits at most 600 seconds. Make the task faster, let a worker pull (function.run_as = \"worker\"), or run it as a Cloud Run job (\"cloud-run-job\")."
  }
}

variable "alerting" {
  description = "Alert policies: dead letters, messages that wait too long, errors, schedules that did not run. null: none."
  default     = {}
  type = object({
    notification_channels      = optional(list(string), []) # Notification channels that incidents are sent to: `projects/P/notificationChannels/N`. None: incidents are only listed.
    monitoring_scoping_project = optional(string)           # Project in which the policies are made, with its own notification channels, if it is not the task's. The task's project is in its metrics scope.
    auto_close_seconds         = optional(number, 86400)    # An incident without new data closes after this, such as that of a service that no longer gets requests: 1800 to 604800.
    oldest_message_seconds     = optional(number, 3600)     # A message that waits longer, or for half of its retention, is an incident.
    error_ratio                = optional(number, 0.1)      # A share of 5xx answers above this, in ten minutes, is an incident.
  })

  validation {
    condition     = alltrue([for channel in try(var.alerting.notification_channels, []) : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "alerting.notification_channels: expected projects/P/notificationChannels/N; found ${join(", ", try(var.alerting.notification_channels, []))}."
  }

  validation {
    condition     = try(var.alerting.monitoring_scoping_project, null) == null || can(regex("^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.alerting.monitoring_scoping_project))
    error_message = "alerting.monitoring_scoping_project: expected the id of a project."
  }

  validation {
    condition     = try(var.alerting.oldest_message_seconds > 0, var.alerting == null)
    error_message = "alerting.oldest_message_seconds: expected more than 0."
  }

  validation {
    condition     = try(var.alerting.auto_close_seconds >= 1800 && var.alerting.auto_close_seconds <= 604800 && floor(var.alerting.auto_close_seconds) == var.alerting.auto_close_seconds, var.alerting == null)
    error_message = "alerting.auto_close_seconds: Cloud Monitoring accepts 1800 (half an hour) to 604800 (seven days)."
  }

  validation {
    condition     = try(var.alerting.error_ratio >= 0 && var.alerting.error_ratio < 1, var.alerting == null)
    error_message = "alerting.error_ratio: expected a ratio from 0 to less than 1."
  }
}

variable "accounts" {
  description = "Emails of service accounts that tasks share. The grants on these accounts, and of the archive's account on the bucket, are not made here. null: the task gets its own, with those grants."
  default     = null
  type = object({
    push      = optional(string) # Account that Pub/Sub calls the service as.
    scheduler = optional(string) # Account that Cloud Scheduler runs the Cloud Run job as.
    archive   = optional(string) # Account that dead letters are written to the bucket as.
  })

  validation {
    condition     = alltrue([for email in try(values(var.accounts), []) : email == null || !can(regex("[:[:space:]]", email))])
    error_message = "accounts: expected emails of service accounts, without serviceAccount:; found ${join(", ", compact(try(values(var.accounts), [])))}."
  }

  validation {
    condition     = try(var.accounts.push != null, true) || !local.has_pushes
    error_message = "accounts.push: the task has subscriptions; name the account that Pub/Sub calls the service as."
  }

  validation {
    condition     = try(var.accounts.scheduler != null, true) || !local.is_scheduled
    error_message = "accounts.scheduler: the Cloud Run job has schedules; name the account that Cloud Scheduler runs it as."
  }

  validation {
    condition     = try(var.accounts.archive != null, true) || length(local.archived) == 0
    error_message = "accounts.archive: dead_letter_archive is set; name the account that dead letters are written as."
  }
}

variable "labels" {
  description = "Labels of everything that is made for the task."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = length(var.labels) <= 64 && alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels: ${local.label_rules}"
  }
}

variable "kms_key" {
  description = "Customer-managed key that encrypts the container and its topics: `projects/P/locations/L/keyRings/R/cryptoKeys/K`. Cloud Run's and Pub/Sub's service agents must be allowed to use it."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is \"${coalesce(var.kms_key, "null")}\"; expected projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "topic_retention_seconds" {
  description = "How long the topic keeps messages, delivered or not, so that a new subscription can seek back to them. Of the topics with `create_topic`."
  type        = number
  default     = null

  validation {
    condition     = try(var.topic_retention_seconds >= 600 && var.topic_retention_seconds <= 2678400, var.topic_retention_seconds == null)
    error_message = "topic_retention_seconds: Pub/Sub accepts 600 (ten minutes) to 2678400 (31 days)."
  }
}

variable "allowed_persistence_regions" {
  description = "Regions in which Pub/Sub may store the messages of its topics, dead letters among them. Of the topics that this module makes. None: all, or those of an organisation policy."
  type        = list(string)
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for region in var.allowed_persistence_regions : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "allowed_persistence_regions: expected regions, such as europe-west2; found ${join(", ", var.allowed_persistence_regions)}."
  }
}

variable "topic_schema" {
  description = "Schema that Pub/Sub checks the messages of the task's topic by; it gets the topic's name. Of the topics with `create_topic`."
  default     = null
  type = object({
    type       = string # `AVRO` or `PROTOCOL_BUFFER`.
    definition = string # Definition of the schema, as text. A change is committed as a new revision.
    encoding   = string # Encoding of the messages: `JSON` or `BINARY`.
  })

  validation {
    condition     = try(contains(["AVRO", "PROTOCOL_BUFFER"], var.topic_schema.type) && contains(["JSON", "BINARY"], var.topic_schema.encoding), var.topic_schema == null)
    error_message = "topic_schema: expected the type AVRO or PROTOCOL_BUFFER, and the encoding JSON or BINARY."
  }
}

variable "dead_letter_archive" {
  description = "Name of a bucket that dead letters are also written to, as Avro files. Only those of the dead-letter topics that this module makes."
  type        = string
  default     = null

  validation {
    condition     = var.dead_letter_archive == null || can(regex("^[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]$", var.dead_letter_archive))
    error_message = "dead_letter_archive is \"${coalesce(var.dead_letter_archive, "null")}\"; expected the name of a bucket, without gs://."
  }
}
