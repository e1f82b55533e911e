"""Minimisers of smooth functions, and of these plus an L1 norm."""
