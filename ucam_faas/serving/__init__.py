"""The HTTP front door: an ASGI application under gunicorn, and functions-framework's way in.

`server` starts gunicorn; its worker runs `app`, which reads requests and answers them; `runner`
runs executions within the limits of `admission`, `threads` and the deadline; `responses` makes
the answers, `flask_tasks` those of HTTP tasks.
"""
