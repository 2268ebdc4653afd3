"""Scenarios recorded on a real kernel, and their replay on the engine and on the host's kernel."""
