"""Pub/Sub and Cloud Scheduler on a laptop: a pure core, with gRPC and REST around it.

`core` knows messages, leases and time, and nothing of wires. `api` holds the RPC methods, `wire`
carries them over gRPC and REST, `push` delivers to subscribers, `scheduler` publishes on time.
"""
