"""gRPC and REST on one port; both carry the methods of `emulator.api`."""
