"""Jobs over HTTP, for systems that can't use the Python package.

request ─ api (path, method) ─► payloads, send_parameters ─ send ─► 202
                             └► representation of the job's row ──► 200
all errors ─► problems (RFC 9457)
"""
