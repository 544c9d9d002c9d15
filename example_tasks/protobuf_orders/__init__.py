"""An example: a message in protobuf's binary form."""
