"""Trees of arrays as vectors of the host, and back."""

import jax
import numpy as np

from fedprompt_jax.mesh import to_host


def vector_of(tree) -> np.ndarray:
    """All numbers of a tree, f64 [n], leaf after leaf.

    Every process must call it.
    """
    leaves = [to_host(x).ravel() for x in jax.tree.leaves(tree)]
    return np.concatenate(leaves).astype(np.float64)


def vectors_of(bank) -> np.ndarray:
    """The same of each owner of a bank with leaves [C, ...], f32 [C, n]."""
    leaves = [to_host(x) for x in jax.tree.leaves(bank)]
    flat = [x.reshape(len(x), -1).astype(np.float32) for x in leaves]
    return np.concatenate(flat, axis=1)


def tree_of(vector: np.ndarray, like):
    """The tree of a vector: shapes and dtypes are those of `like`.

        >>> like = {'a': np.zeros(2, np.float32), 'b': np.zeros((2, 1))}
        >>> tree = tree_of(np.arange(4.0), like)
        >>> print(tree['a'], tree['a'].dtype, tree['b'].tolist())
        [0. 1.] float32 [[2.0], [3.0]]

    Args:
      vector: [n], as vector_of(like) has it.
      like: a tree of arrays.
    """
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([x.size for x in leaves])
    parts = np.split(vector, ends[:-1])
    return jax.tree.unflatten(
        structure,
        [
            part.reshape(x.shape).astype(x.dtype)
            for part, x in zip(parts, leaves, strict=True)
        ],
    )
