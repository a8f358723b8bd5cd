"""Federated prompt tuning of frozen language models in JAX."""
