"""The benches: what a record costs here and elsewhere, measured in one run.

``python -m benches`` runs them, prints the table, and writes JSON and SVG into ``benches/results``.
"""
