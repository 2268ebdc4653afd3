"""Bench of several threads: several sealers at the same time, and a batch in parts."""
