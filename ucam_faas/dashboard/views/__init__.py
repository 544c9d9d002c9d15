"""The views: one function for each page or action, from a query and the backends to a page."""
