"""The history of a local cloud: a SQLite file, the process that writes it, and its reader."""
