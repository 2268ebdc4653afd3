"""Tests of the transports of ``ktls_fast.asyncio``, and helpers for them."""
