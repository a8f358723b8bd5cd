"""Scores: generation, ROUGE-L, the trade-off."""
