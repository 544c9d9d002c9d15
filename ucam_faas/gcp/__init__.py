"""Google Cloud's limits and languages: quotas, subscription filters and cron. Pure."""
