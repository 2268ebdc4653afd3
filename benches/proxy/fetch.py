"""Fetch a file through a TLS proxy, and print the cipher suite and the file's SHA-256.

``python -m benches.proxy.fetch FOLDER PORT NAME``
"""

from __future__ import annotations

import http.client
import sys
from hashlib import sha256
from pathlib import Path

from benches import identity


def main() -> None:
    """Fetch the file that the arguments name."""
    folder, port, name = sys.argv[1:]
    context = identity.client_context(Path(folder))
    connection = http.client.HTTPSConnection("localhost", int(port), timeout=20, context=context)
    connection.connect()
    chosen = connection.sock.cipher()
    assert chosen is not None
    connection.request("GET", f"/{name}")
    digest = sha256(connection.getresponse().read()).hexdigest()
    print(chosen[0], digest)
    connection.close()


if __name__ == "__main__":
    main()
