"""Sockets and HTTP/1.1 as every server of this package speaks it: tasks, `dev` and the emulator."""
