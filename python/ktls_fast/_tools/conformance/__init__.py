"""Scenarios recorded on a real kernel, replayed on the engine and on the kernel of this host."""
