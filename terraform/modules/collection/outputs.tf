output "tasks" {
  description = "The outputs of each task's module, by name in the code."
  value       = module.task
}

output "push_endpoints" {
  description = "For the owner of each existing subscription, by name: its push endpoint, and the audience and account of the token."
  value       = merge(values(module.task)[*].push_endpoints...)
}

output "topics" {
  description = "Full names of the topics, by short name."
  value       = local.topic_names
}

output "dead_letter_subscriptions" {
  description = "Ids of the subscriptions that keep dead letters, by topic."
  value       = { for topic, subscription in google_pubsub_subscription.dead_letter : topic => subscription.id }
}

output "archive_subscriptions" {
  description = "Ids of the subscriptions that write dead letters to a bucket, by topic."
  value       = { for topic, subscription in google_pubsub_subscription.archive : topic => subscription.id }
}

output "service_accounts" {
  description = "Emails of the accounts that the tasks share: `push`, `scheduler` and `archive`; null: not needed."
  value       = local.accounts
}

output "jobs" {
  description = "What the collection makes for jobs: ids of the databases by name, of the queues by full name, and of the buckets by name."
  value = {
    databases = { for name, database in google_firestore_database.jobs : name => database.id }
    queues    = { for name, queue in google_cloud_tasks_queue.jobs : name => queue.id }
    buckets   = { for name, bucket in google_storage_bucket.payloads : name => bucket.id }
  }
}
