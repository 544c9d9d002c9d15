"""All that is known of a task before its first message: options, policies, triggers and parsers."""
