"""Pub/Sub and Cloud Scheduler on a laptop: a pure core, with wire faces around it.

`engine` and `queues` know messages, leases and time, and nothing of wires. The `*_api` modules
are the RPC methods; `grpc_face` and `rest_face` carry the same methods.
"""
