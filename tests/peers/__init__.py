"""Tests with other TLS implementations as peers on 127.0.0.1, and helpers for them."""
