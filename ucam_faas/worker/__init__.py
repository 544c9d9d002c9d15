"""Pulling: messages of the tasks' subscriptions in, executions, acknowledgements out.

`session` chains the parts: `sources` names the subscriptions, `checks` looks at them, `streams`
pulls, `dispatcher` says which message starts next, `acknowledgements` answers, and `heartbeat`
extends the leases meanwhile from a process of its own.
"""
