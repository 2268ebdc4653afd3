"""The offload queue against the software path."""
