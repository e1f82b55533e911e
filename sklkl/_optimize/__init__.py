"""Minimisers of smooth functions, with or without an L1 norm besides."""
