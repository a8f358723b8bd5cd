"""Hand-written word lists from which the corpus is built."""
