"""A package, so that pytest closes its browser after its last test: a folder has no such end."""
