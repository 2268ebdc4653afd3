"""The benches: what records, sockets and proxies cost here and elsewhere, measured in one run.

``python -m benches`` runs them all, ``python -m benches records scan`` those two. Each prints a
table, and writes JSON and SVG into ``benches/results``. ``bench.py`` says what a bench is,
``registry.py`` which there are.
"""
