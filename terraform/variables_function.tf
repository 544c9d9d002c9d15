# The container. The README's table is made from this file: a comment after an attribute is its description.

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

  # A size that is wrong by itself has its own message.
  validation {
    condition = try(
      sum([for cpu in concat([var.function.cpu], values(var.function.sidecars)[*].cpu, var.function.telemetry[*].cpu) : tonumber(trimsuffix(cpu, "m")) / (endswith(cpu, "m") ? 1000 : 1)]) <= 8 &&
      sum([for memory in concat([var.function.memory], values(var.function.sidecars)[*].memory, var.function.telemetry[*].memory) : tonumber(regex("^[0-9.]+", memory)) * { Mi = 1, Gi = 1024, M = 1000000 / 1048576, G = 1000000000 / 1048576 }[regex("[A-Z]i?$", memory)]]) <= 32768,
      true
    )
    error_message = "function.sidecars and function.telemetry: all containers of an instance together have at most 8 CPUs and 32Gi of memory."
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
