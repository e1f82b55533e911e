"""Races against peers: ``python -m benchmarks.NAME`` from the root of the source tree."""
