"""Federated learning: local training, the server, randomness, costs."""
