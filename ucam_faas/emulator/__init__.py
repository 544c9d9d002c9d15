"""Pub/Sub, Cloud Scheduler and Cloud Tasks on a laptop: a pure core, with gRPC and REST.

`core` knows messages, leases and time, and nothing of wires. `api` holds the RPC methods, `wire`
carries them over gRPC and REST, `push` delivers to subscribers, `scheduler` publishes on time, and
`cloud_tasks` sends requests on time; `targets` is shared by these two.
"""
