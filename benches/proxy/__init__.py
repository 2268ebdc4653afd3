"""TLS proxies before the same upstream, under the same load."""
