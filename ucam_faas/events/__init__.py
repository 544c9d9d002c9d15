"""The data of one delivery: Pub/Sub messages, envelopes, contexts, traces and execution reports."""
