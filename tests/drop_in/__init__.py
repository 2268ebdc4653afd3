"""Tests of the hand-over from OpenSSL, and of ``ktls_fast.ssl``."""
