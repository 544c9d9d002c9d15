"""Sockets and HTTP/1.1 as every server of this package speaks it, and requests to REST APIs."""
