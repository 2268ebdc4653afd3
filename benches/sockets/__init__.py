"""One loopback TCP connection, each end in a process of its own."""
