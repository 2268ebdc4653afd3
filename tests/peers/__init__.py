"""Tests with TLS peers of other makers on 127.0.0.1, and the tools that talk to them."""
