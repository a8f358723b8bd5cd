"""Centralized training: FedSGD with one client that holds everybody's data.

Its population is pooled before it gets here (`POOLED`); one optimizer, the
server's, keeps its state through the run. Profit's baseline (2310.04627).
"""

from fedprompt_jax.algorithms import fedsgd

POOLED = True  # the training clients are one client to this algorithm

make = fedsgd.make
