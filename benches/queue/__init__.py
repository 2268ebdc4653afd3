"""Bench of the offload queue against the software path."""
