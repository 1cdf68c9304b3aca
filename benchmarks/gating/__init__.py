"""The gate: builds two commits and holds one against the other. See benchmarks/gate.py."""
