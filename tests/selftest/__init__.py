"""The cases of the kernel's selftest of TLS sockets, run on KtlsSocket.

The selftest is ``tools/testing/selftests/net/tls.c`` of Linux; ``catalogue.py`` lists its cases.
"""
