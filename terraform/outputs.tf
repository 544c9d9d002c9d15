output "name" {
  description = "Name of the service, worker pool or Cloud Run job."
  value       = var.name
}

output "id" {
  description = "Id of the service, worker pool or Cloud Run job."
  value = one(concat(
    google_cloud_run_v2_service.this[*].id,
    google_cloud_run_v2_worker_pool.this[*].id,
    google_cloud_run_v2_job.this[*].id,
  ))
}

output "service_uri" {
  description = "Address of the service; null for a worker pool or Cloud Run job."
  value       = one(google_cloud_run_v2_service.this[*].uri)
}

output "topics" {
  description = "Full name of the topic, by subscription."
  value       = { for name, subscription in local.made_subscriptions : name => local.topic_names[subscription.topic] }
}

output "push_endpoints" {
  description = "For the owner of each existing subscription, by name: its push endpoint, and the audience and account of the token."
  value = {
    for name in local.is_service ? local.existing_subscriptions : [] : name => {
      endpoint = "${google_cloud_run_v2_service.this[0].uri}${local.subscriptions[name].path}"
      audience = google_cloud_run_v2_service.this[0].uri
      account  = local.push_email
    }
  }
}

output "subscriptions" {
  description = "Ids of the subscriptions that are made, by name."
  value       = { for name, subscription in google_pubsub_subscription.push : name => subscription.id }
}

output "dead_letter_topics" {
  description = "Full name of the dead-letter topic, by subscription."
  value       = local.dead_letter_topics
}

output "dead_letter_subscriptions" {
  description = "Name of the subscription that keeps the dead letters, by subscription."
  value       = local.dead_letter_keepers
}

output "schedules" {
  description = "Ids of the Cloud Scheduler jobs, by name."
  value       = { for name, schedule in google_cloud_scheduler_job.schedule : name => schedule.id }
}

output "service_accounts" {
  description = "Emails of the accounts: the task runs as `run_time`, Pub/Sub calls it as `push`, Cloud Scheduler runs its Cloud Run job as `scheduler`, and Pub/Sub writes dead letters to the bucket as `archive`; null: not needed."
  value = {
    run_time  = local.run_time_email
    push      = local.has_pushes ? local.push_email : null
    scheduler = local.is_scheduled ? local.scheduler_email : null
    archive   = length(local.archived) > 0 ? local.archive_email : null
  }
}

output "alert_policies" {
  description = "Names of the alert policies."
  value = concat(
    [for policy in values(google_monitoring_alert_policy.dead_letter) : policy.name],
    [for policy in values(google_monitoring_alert_policy.oldest_message) : policy.name],
    google_monitoring_alert_policy.errors[*].name,
    google_monitoring_alert_policy.job_failed[*].name,
    google_monitoring_alert_policy.schedule_failed[*].name,
  )
}
