"""Bench of the search for KeyUpdates in opened records."""
