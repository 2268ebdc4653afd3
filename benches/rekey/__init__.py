"""What key updates cost."""
