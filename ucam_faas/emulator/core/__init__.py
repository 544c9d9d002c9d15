"""Messages, leases and time, without input or output: the time is passed in, storage is a port."""
