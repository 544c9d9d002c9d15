"""Log set-up and formatters: JSON for Cloud Logging, text for a terminal."""
