"""Soft labels from judgements: shares of votes, and votes of annotators that differ."""

from sklkl.targets._dawid_skene import DawidSkene, dawid_skene
from sklkl.targets._votes import VoteShares, vote_shares

__all__ = ["DawidSkene", "VoteShares", "dawid_skene", "vote_shares"]
