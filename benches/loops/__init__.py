"""Servers in event loops: streams, protocols and aiohttp over each TLS implementation."""
