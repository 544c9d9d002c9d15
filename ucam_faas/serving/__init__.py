"""The HTTP front door: an ASGI application under gunicorn, and functions-framework's way in.

`server` starts gunicorn, and `worker` is one of its processes. `app` finds the task for a request
and reads the body, `service` answers, and `runner` runs executions within the limits of
`admission`, `threads` and the deadline; `responses` makes the answers, `flask_tasks` those of HTTP
tasks. `run_once` runs a task without a server.
"""
