"""The RPC methods of Pub/Sub, whichever wire they come by."""
