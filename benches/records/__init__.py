"""Bench of sealing and opening TLS 1.3 records in memory."""
