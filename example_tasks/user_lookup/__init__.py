"""An example: HTTP tasks, with routes as in Flask."""
