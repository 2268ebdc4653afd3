"""The interpreter's own TLS tests, run against the front doors of this package."""
