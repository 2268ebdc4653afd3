"""What the kernel's own selftest of TLS sockets asks, asked of KtlsSocket (spec 7)."""
