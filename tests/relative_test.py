"""T5's buckets of distances, pair by pair."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.models import relative


def row_of(ahead: int, buckets: int, farthest: int, causal: bool) -> int:
    """The table's row of a key that stands `ahead` of the query.

    Half the rows are of later keys, unless no later key is read. Of the
    others, half are of one distance each; the rest grow with its logarithm.
    """
    later = 0
    if not causal:
        buckets //= 2
        later = buckets if ahead > 0 else 0
    distance = max(-ahead, 0) if causal else abs(ahead)
    exact = buckets // 2
    if distance < exact:
        return later + distance
    share = math.log(distance / exact) / math.log(farthest / exact)
    far = exact + math.floor(share * (buckets - exact) + 1e-6)
    return later + min(far, buckets - 1)


@pytest.mark.parametrize('causal', [True, False])
@pytest.mark.parametrize(('buckets', 'farthest'), [(32, 128), (8, 20)])
def test_a_bucket_is_its_definition(buckets, farthest, causal):
    query = np.array([[0, 7, 150, 299], [1, 2, 3, 40]])
    key = np.broadcast_to(np.arange(300), (2, 300))
    result = relative.bucket(
        jnp.asarray(query), jnp.asarray(key), buckets, farthest, causal
    )
    expected = [
        [
            [row_of(k - q, buckets, farthest, causal) for k in row]
            for q in positions
        ]
        for positions, row in zip(query.tolist(), key.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(result, expected)


def test_buckets_by_hand():
    """32 rows, 16 of earlier keys: 0 to 7 exactly, then up to 128."""
    ahead = np.array([0, -1, -7, -8, -16, -32, -64, -127, -128, 1, 8, 999])
    result = relative.bucket(
        jnp.array([[1000]]), jnp.asarray(1000 + ahead[None]), 32, 128, False
    )
    rows = [0, 1, 7, 8, 10, 12, 14, 15, 15, 17, 24, 31]
    assert np.asarray(result).ravel().tolist() == rows
