"""Laws of the aggregates, against NumPy; their texts in a config."""

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.federated import aggregates

COUNTS = np.array([5, 1, 3, 2, 9, 4, 7])
LOST = 2  # an owner with a number that is not finite
FINITE = [i for i in range(len(COUNTS)) if i != LOST]


@pytest.fixture
def bank():
    """Seven owners of two leaves, one of which is not finite."""
    rng = np.random.default_rng(0)
    bank = {'a': rng.normal(size=(7, 3, 2)), 'b': rng.normal(size=(7, 4))}
    bank['a'][0] *= 30  # an outlier
    bank['b'][LOST, 1] = np.inf
    return {k: jnp.asarray(x, jnp.float32) for k, x in bank.items()}


def flat(bank) -> np.ndarray:
    """The finite owners as rows [C, n]."""
    return np.concatenate(
        [np.asarray(x)[FINITE].reshape(len(FINITE), -1) for x in bank.values()],
        axis=1,
    )


def check(spec, bank, expected):
    got = aggregates.make(spec)(bank, COUNTS)
    assert got['a'].shape == (3, 2) and got['b'].shape == (4,)
    row = np.concatenate([np.ravel(got['a']), np.ravel(got['b'])])
    np.testing.assert_allclose(row, expected, rtol=2e-5, atol=1e-6)


def test_the_means(bank):
    rows = flat(bank)
    check('uniform', bank, rows.mean(axis=0))
    check('examples', bank, np.average(rows, axis=0, weights=COUNTS[FINITE]))


def test_the_median_is_that_of_each_coordinate(bank):
    check('median', bank, np.median(flat(bank), axis=0))


@pytest.mark.parametrize(
    ('share', 'cut'), [(0.0, 0), (0.1, 0), (0.2, 1), (0.34, 2), (0.49, 2)]
)
def test_the_trimmed_mean_leaves_out_a_share_at_either_end(share, cut, bank):
    """Of the owners that are finite, rounded down."""
    rows = np.sort(flat(bank), axis=0)
    expected = rows[cut : len(rows) - cut].mean(axis=0)
    check(f'trimmed_mean(share={share})', bank, expected)


def test_the_clipped_mean_is_of_trees_of_a_largest_norm(bank):
    rows = flat(bank)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    for norm in (0.5, 3.5, 1e6):
        expected = (rows * np.minimum(1, norm / norms)).mean(axis=0)
        check(f'clipped_mean(norm={norm})', bank, expected)


def test_the_geometric_median_has_no_direction_that_is_nearer(bank):
    """Unit vectors from it to the clients add up to zero."""
    got = aggregates.make('geometric_median')(bank, COUNTS)
    center = np.concatenate([np.ravel(got['a']), np.ravel(got['b'])])
    away = flat(bank) - center
    units = away / np.linalg.norm(away, axis=1, keepdims=True)
    assert np.linalg.norm(units.sum(axis=0)) < 0.02
    mean = flat(bank).mean(axis=0)
    total = np.linalg.norm(away, axis=1).sum()
    assert total < np.linalg.norm(flat(bank) - mean, axis=1).sum()


@pytest.mark.parametrize('spec', aggregates.NAMES)
def test_an_aggregate_of_equal_trees_is_that_tree(spec):
    bank = {'a': jnp.full((5, 2), 0.25)}
    got = aggregates.make(spec)(bank, COUNTS[:5])
    np.testing.assert_allclose(got['a'], [0.25, 0.25], rtol=1e-6)


@pytest.mark.parametrize('spec', aggregates.NAMES)
def test_an_aggregate_over_nobody_is_nan(spec):
    bank = {'a': jnp.full((3, 2), jnp.nan)}
    assert np.isnan(aggregates.make(spec)(bank, COUNTS[:3])['a']).all()


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ('medan', "did you mean 'median'"),
        ('mean', 'there is no aggregate'),
        ('trimmed_mean(part=0.1)', "has no argument 'part'; it takes share"),
        ('trimmed_mean(share=0.5)', r'share=0.5 must be in \[0, 0.5\)'),
        ("trimmed_mean(share='a')", "share='a' must be a number"),
        ('clipped_mean(norm=0)', 'norm=0 must be above 0'),
        ('geometric_median(smoothing=-1)', 'smoothing=-1 must be above 0'),
        ('uniform(a=1)', 'it takes none'),
        ('median(', "is not an aggregate; write 'uniform'"),
    ],
)
def test_what_is_no_aggregate(spec, message):
    with pytest.raises(ValueError, match=message):
        aggregates.make(spec)
