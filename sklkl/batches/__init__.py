"""Rows that are read in batches, from files, tables or functions, to fit and to predict."""

from sklkl.batches._batches import Batches
from sklkl.batches._predictions import predict_to_parquet

__all__ = ["Batches", "predict_to_parquet"]
