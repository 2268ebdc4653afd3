"""requests posts its input and prints the answer: ``python requests_client.py URL ROOTS``."""

import sys

import ktls_fast.ssl

ktls_fast.ssl.inject()  # before: nothing, and no import
import requests

url, roots = sys.argv[1:]
response = requests.post(url, sys.stdin.buffer.read(), verify=roots, timeout=60)
sys.stdout.buffer.write(response.content)
