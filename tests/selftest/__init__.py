"""What the kernel's own selftest of TLS sockets asks, asked of KtlsSocket.

The selftest is ``tools/testing/selftests/net/tls.c`` of Linux; ``catalogue.py`` lists its cases.
"""
