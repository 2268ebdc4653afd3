"""Benchmarks of records, sockets and proxies, against other implementations in the same run.

``python -m benches`` runs all of them, ``python -m benches records scan`` only these two. Each
prints a table, and writes JSON and SVG to ``benches/results``. ``bench.py`` defines what a bench
is, ``registry.py`` lists them.
"""
