"""Host randomness: every draw is a function of its seed, purpose and ids."""

import hashlib
import json

import numpy as np


def generator(seed: int, purpose: str, *ids: int) -> np.random.Generator:
    """Returns the one generator of (seed, purpose, ids), the same every time.

    Nothing random is ever stored: a draw that has to be repeated (a cohort, a
    shuffle of one client in one round) is asked for again by its name.

    Args:
      seed: the run's seed.
      purpose: what is drawn, e.g. 'cohort'; two purposes never share a stream.
      *ids: distinguishes draws of one purpose: round, client id, ...

    Returns:
      A PCG64 generator seeded with 256 bits.
    """
    # A digest of the whole name rather than SeedSequence([seed, ...]): that one
    # pads with zeros, so the ids (1,) and (1, 0) would share a stream.
    name = json.dumps([purpose, int(seed), *(int(i) for i in ids)])
    entropy = int.from_bytes(hashlib.sha256(name.encode()).digest())
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
