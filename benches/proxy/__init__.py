"""Bench of TLS proxies in front of the same upstream, under the same load."""
