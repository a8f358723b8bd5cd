"""What prompts of queries are made from, counted by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank import queries
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer, Shape


def grid_of(*examples: Example):
    packer = Packer(2, (Shape(14, 6, (2,)),), None, True, False)
    (grid,) = packer.pack(examples, [1.0] * len(examples))
    return grid


def example(owner: int, query: list[int], target: list[int]) -> Example:
    return Example(owner, np.array(query), np.array(target))


def test_a_grid_says_which_tokens_are_of_queries():
    grid = grid_of(
        example(0, [11, 12], [13, 14]),
        example(0, [15], [16]),
        example(1, [17, 18, 19], [20]),
    )
    assert grid.tokens[0].tolist()[:8] == [0, 0, 11, 12, 13, 0, 0, 15]
    assert grid.is_query[0].tolist() == [0, 0, 1, 1, 0, 0, 0, 1] + [0] * 6
    assert grid.is_query[1].tolist() == [0, 0, 1, 1, 1] + [0] * 9


@pytest.mark.parametrize(
    ('how', 'first', 'second'), [('mean', 11.5, 15), ('max', 12, 15)]
)
def test_a_query_is_pooled_by_itself(how, first, second):
    """Its target, the other queries of its row and padding are left out."""
    grid = grid_of(
        example(0, [11, 12], [99, 14]),
        example(0, [15], [99]),
        example(1, [-7, -3, -8], [99]),
    )
    found = queries.of_grid(grid, 2)
    assert found.owner.tolist() == [0, 1] and found.most == 4
    x = grid.tokens[..., None] * jnp.array([1.0, 2.0])
    pooled = np.asarray(queries.pooled(x, found, how))
    expected = np.zeros((2, 4))
    expected[0, :2] = first, second
    expected[1, 0] = -6 if how == 'mean' else -3
    np.testing.assert_allclose(pooled[..., 0], expected)
    np.testing.assert_allclose(pooled[..., 1], 2 * expected)


def test_padded_queries_are_pooled_without_padding():
    tokens = jnp.array([[5, 7, 9, 0], [4, 4, 4, 8], [0, 0, 0, 0]])
    found = queries.of_rows(tokens, jnp.array([2, 4, 0]))
    assert found.owner.tolist() == [0, 1, 2]
    x = (tokens + 100.0)[..., None]
    pooled = np.asarray(queries.pooled(x, found, 'mean'))
    np.testing.assert_allclose(pooled[:, 0, 0], [106, 105, 0])
    highest = np.asarray(queries.pooled(x, found, 'max'))
    np.testing.assert_allclose(highest[:, 0, 0], [107, 108, 0])
