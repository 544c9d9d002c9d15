"""New collections and tasks: the files in `templates/`, filled in. Nothing here imports tasks."""
