"""Compiled arithmetic on typed buffers.

This layer knows nothing of scikit-learn, validates no Python object and holds no
global interpreter lock inside its loops. See ``docs/development.md`` for the map.
"""
