output "tasks" {
  description = "The outputs of each task's module, by name in the code."
  value       = module.task
}

output "topics" {
  description = "Full names of the topics, by short name."
  value       = local.topic_names
}
