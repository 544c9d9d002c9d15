# The README's table is made from this file: a comment after an attribute is its description.

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
}

variable "name" {
  description = "Beginning of the ids of the accounts that the tasks share: `NAME-push`, `NAME-scheduler`, `NAME-archive`, behind the plan's `name_prefix`. Two collections in a project need different ones."
  type        = string
  nullable    = false
  default     = "ucam-faas"

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{0,18}[a-z0-9]$", var.name))
    error_message = "name is \"${var.name}\"; expected 2 to 20 characters of a-z, 0-9 and -, beginning with a letter, and not ending in -."
  }
}

variable "region" {
  description = "Region of Cloud Run and Cloud Scheduler."
  type        = string
  nullable    = false
}

variable "container_image" {
  description = "Image that holds the tasks. It changes with each release, and is not in the plan's file. None: each task's deployed image stays, because something else deploys it; the first apply of a task needs one."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of everything that can have labels, in addition to those of each task."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "topics" {
  description = "Topics to make, by their short names."
  nullable    = false
  default     = {}
  type = map(object({
    dead_letter_subscription    = optional(string)           # Name of the subscription that keeps the topic's messages for 31 days. None: it is not a topic for dead letters.
    kms_key                     = optional(string)           # Cloud KMS key to encrypt it with. Default: that of the tasks, if they all have the same.
    deletion_protection         = optional(bool, true)       # Terraform refuses to delete the topic and the subscriptions that are made with it.
    archive                     = optional(string)           # Name of a bucket that its messages are also written to, as Avro files, by the subscription `TOPIC-archive`.
    retention_seconds           = optional(number)           # How long the topic itself keeps messages, delivered or not, so that a new subscription can seek back to them: 600 to 2678400.
    allowed_persistence_regions = optional(list(string), []) # Regions in which Pub/Sub may store its messages. None: all, or those of an organisation policy.
    schema = optional(object({                               # Schema that Pub/Sub checks its messages by; it gets the topic's name.
      type       = string                                    # `AVRO` or `PROTOCOL_BUFFER`.
      definition = string                                    # Definition of the schema, as text. A change is committed as a new revision.
      encoding   = string                                    # Encoding of the messages: `JSON` or `BINARY`.
    }))
  }))

  validation {
    condition     = alltrue([for name in keys(var.topics) : can(regex("^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$", name)) && !startswith(name, "goog")])
    error_message = "topics: found ${join(", ", keys(var.topics))}. Names in Pub/Sub have 3 to 255 characters, a letter first, of A-Z a-z 0-9 - _ . ~ + %, and do not begin with goog."
  }

  validation {
    condition     = alltrue([for topic in values(var.topics) : topic.dead_letter_subscription == null || can(regex("^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$", topic.dead_letter_subscription))])
    error_message = "topics.….dead_letter_subscription: found ${join(", ", compact(values(var.topics)[*].dead_letter_subscription))}. Names in Pub/Sub have 3 to 255 characters, a letter first, of A-Z a-z 0-9 - _ . ~ + %, and do not begin with goog."
  }

  validation {
    condition     = alltrue([for name, topic in var.topics : topic.archive == null || length(name) <= 247])
    error_message = "topics: a name with an archive has at most 247 characters, because \"-archive\" is appended."
  }

  validation {
    condition     = alltrue([for topic in values(var.topics) : try(topic.retention_seconds >= 600 && topic.retention_seconds <= 2678400, topic.retention_seconds == null)])
    error_message = "topics.….retention_seconds: Pub/Sub accepts 600 (ten minutes) to 2678400 (31 days)."
  }

  validation {
    condition     = alltrue([for region in flatten(values(var.topics)[*].allowed_persistence_regions) : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "topics.….allowed_persistence_regions: expected regions, such as europe-west2; found ${join(", ", flatten(values(var.topics)[*].allowed_persistence_regions))}."
  }

  validation {
    condition     = alltrue([for topic in values(var.topics) : try(contains(["AVRO", "PROTOCOL_BUFFER"], topic.schema.type) && contains(["JSON", "BINARY"], topic.schema.encoding), topic.schema == null)])
    error_message = "topics.….schema: expected the type AVRO or PROTOCOL_BUFFER, and the encoding JSON or BINARY."
  }

  validation {
    condition     = alltrue([for topic in values(var.topics) : topic.archive == null || can(regex("^[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]$", topic.archive))])
    error_message = "topics.….archive: expected the name of a bucket, without gs://; found ${join(", ", compact(values(var.topics)[*].archive))}."
  }
}

variable "tasks" {
  description = "The tasks: by name in the code, `format = 2` and the arguments of the module for one task (`name`, `function`, `concurrency`, `triggers`, `alerting`, `labels`, `kms_key`, `dead_letter_archive`), but for those above; and `jobs`, with the database (`firestore`) and the queue (`queue`) of its jobs, in full, the account (`account`) as which the queue publishes to the topics `inboxes`, the bucket of large payloads (`payloads`, with `bucket` and `days`), and the names of those that exist elsewhere (`existing`); and `name_prefix`, with which the names in the plan begin: the shared accounts get it, too. Topics are short names of `topics`, or `projects/P/topics/T`. The other attributes of a task in the plan's file are ignored."
  type        = any # the module for one task has the types
  nullable    = false

  validation {
    condition     = alltrue([for task in values(var.tasks) : try(tonumber(task.format) == 2, false)])
    error_message = "tasks: expected format 2 of the plan's file; found ${join(" and ", distinct([for task in values(var.tasks) : try("format ${task.format}", "none, which is format 1")]))}. Another version of ucam-faas wrote the file, and this module could delete resources that the file lacks. Run `ucam-faas plan` of the version that this module belongs to, or set source to the module of your version. In tasks written by hand, set format = 2."
  }

  validation {
    condition     = alltrue([for task in values(var.tasks) : can(task.name) && can(task.function)])
    error_message = "tasks: each task has a name and a function; see the module for one task."
  }

  # No type would refuse these: Terraform drops attributes that a type does not have.
  validation {
    condition = length(setsubtract(
      flatten([for task in values(var.tasks) : try(keys(task), [])]),
      ["format", "name", "summary", "function", "concurrency", "triggers", "alerting", "labels", "kms_key", "dead_letter_archive", "payload", "jobs", "name_prefix"]
    )) == 0
    error_message = "tasks: ${join(", ", distinct(flatten([for task in values(var.tasks) : try(keys(task), [])])))}: expected format, name, summary, function, concurrency, triggers, alerting, labels, kms_key, dead_letter_archive, payload, jobs and name_prefix."
  }

  validation {
    condition     = length(distinct([for task in values(var.tasks) : try(task.name, "")])) == length(var.tasks)
    error_message = "tasks: two of them have the same name: ${join(", ", sort([for task in values(var.tasks) : try(task.name, "?")]))}."
  }

  validation {
    condition     = length(distinct(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.subscriptions, {}) : name]]))) == length(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.subscriptions, {}) : name]]))
    error_message = "tasks: two subscriptions have the same name: ${join(", ", sort(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.subscriptions, {}) : name]])))}."
  }

  validation {
    condition     = length(distinct(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.cron_schedules, {}) : name]]))) == length(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.cron_schedules, {}) : name]]))
    error_message = "tasks: two schedules have the same name: ${join(", ", sort(flatten([for task in values(var.tasks) : [for name, _ in try(task.triggers.cron_schedules, {}) : name]])))}."
  }
}
