"""A tree taken apart by layers: those that travel, and those that stay.

A prefix is {'prefix': {'00': leaf, '01': leaf, ...}}, an entry a layer; flags
bool [entries], in the order of the sorted names, say which entries travel.

    >>> prefix = {'prefix': {'00': jnp.ones(2), '01': jnp.ones(2)}}
    >>> flags = np.array([False, True])
    >>> list(sent(flags, prefix))
    ['01']
    >>> print(only(flags, prefix)['prefix']['00'])
    [0. 0.]
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

KEY, WHOLE = 'prefix', 'whole'


def entries(params: Any) -> list[str]:
    """The names of the layers that have something to train, sorted.

    Trees of other kinds are one entry: all of it travels, or nothing.
    """
    return sorted(params[KEY]) if KEY in params else [WHOLE]


def layers(params: Any) -> list[int]:
    """The numbers of these layers in the model; [] for other kinds."""
    return [int(name) for name in sorted(params.get(KEY, ()))]


@jax.jit
def join(flags, travelling: Any, staying: Any) -> Any:
    """The entries of one tree where flags hold, and of the other elsewhere.

    Args:
      flags: bool [entries].
      travelling: a tree, or a bank with leaves [C, ...].
      staying: likewise, of the same shapes.
    """
    parts = [_entry(tree) for tree in (travelling, staying)]
    joined = {
        name: jax.tree.map(
            lambda a, b, i=i: jnp.where(flags[i], a, b),
            parts[0][name],
            parts[1][name],
        )
        for i, name in enumerate(entries(travelling))
    }
    return {KEY: joined} if KEY in travelling else joined[WHOLE]


def only(flags, tree: Any) -> Any:
    """The tree with zeros where flags do not hold."""
    return join(flags, tree, jax.tree.map(jnp.zeros_like, tree))


def sent(flags: np.ndarray, tree: Any) -> Any:
    """The entries that travel alone: what a message consists of."""
    names, parts = entries(tree), _entry(tree)
    return {n: parts[n] for n, f in zip(names, flags, strict=True) if f}


def _entry(tree: Any) -> dict[str, Any]:
    return tree[KEY] if KEY in tree else {WHOLE: tree}
