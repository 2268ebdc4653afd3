"""http.server returns what is posted: ``python http_server.py PORT CERT KEY``."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ktls_fast.ssl as ssl  # before: import ssl


class Echo(BaseHTTPRequestHandler):
    """Returns the body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


port, cert, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = ThreadingHTTPServer(("127.0.0.1", int(port)), Echo)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
