"""The dashboard: web pages that show a local cloud, or a job store and Google's Pub/Sub.

`routes` is the table of pages. A view is a function from a query and the backends to a page; `app`
calls it in a thread and renders its template. No view knows HTTP, and no template calls a backend.
"""
