"""Clients that differ in size and in labels, and their parts of the test."""

import numpy as np
import pytest

from fedprompt_jax.data import label_skew
from fedprompt_jax.data.label_skew import LabelSkew


def drawn(clients=20, labels=3, alpha=0.5, size_alpha=5.0, seed=0):
    return label_skew.draw(clients, labels, alpha, size_alpha, seed)


def labels(count: int, kinds: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, kinds, count)


def test_every_instance_goes_to_one_client():
    label_of = labels(500)
    dealt = label_skew.deal(label_of, drawn(), 0, 'train')
    assert sorted(dealt.order.tolist()) == list(range(500))
    assert len(dealt) == 20 and (dealt.sizes > 0).all()


def test_sizes_are_rounded_shares_of_any_number():
    skew = drawn(seed=3)
    for total in (20, 37, 500, 5003):
        sizes = label_skew.sizes(skew.shares, total)
        assert sizes.sum() == total and sizes.min() >= 1
    assert np.abs(sizes - 5003 * skew.shares).max() < 12
    dealt = label_skew.deal(labels(5003), skew, 0, 'train')
    assert dealt.sizes.tolist() == sizes.tolist()


def test_shares_and_priors_are_dirichlet():
    """Means and variances of Dir(5) over clients and of Dir(alpha)."""
    skew = drawn(clients=4000, labels=4, alpha=0.5)
    assert skew.shares.sum() == pytest.approx(1)
    n = 4000
    variance = (1 / n) * (1 - 1 / n) / (5 * n + 1)
    assert skew.shares.var() == pytest.approx(variance, rel=0.1)
    np.testing.assert_allclose(skew.priors.sum(axis=1), 1)
    np.testing.assert_allclose(skew.priors.mean(axis=0), 0.25, atol=0.02)
    expected = 0.25 * 0.75 / (4 * 0.5 + 1)
    np.testing.assert_allclose(skew.priors.var(axis=0), expected, rtol=0.1)


@pytest.mark.parametrize('purpose', ['train', 'test'])
def test_a_client_has_the_labels_that_it_asks_for(purpose):
    """As far as they last: with many more clients asking than it takes."""
    skew = drawn(clients=50, labels=2, alpha=1.0, seed=5)
    label_of = np.arange(20_000) % 2
    dealt = label_skew.deal(label_of, skew, 0, purpose)
    shares = np.array([label_of[dealt[i]].mean() for i in range(50)])
    assert np.corrcoef(shares, skew.priors[:, 1])[0, 1] > 0.95
    # The test data have the same clients' mixtures as the training data.
    assert np.abs(shares - skew.priors[:, 1]).mean() < 0.1


def test_two_clients_of_one_label_each():
    skew = LabelSkew(np.array([0.75, 0.25]), np.array([[1.0, 0], [0, 1.0]]))
    label_of = np.array([0] * 6 + [1] * 2)
    dealt = label_skew.deal(label_of, skew, 0, 'train')
    assert sorted(dealt[0]) == [0, 1, 2, 3, 4, 5] and sorted(dealt[1]) == [6, 7]


def test_a_label_that_has_run_out_is_drawn_again():
    """Both ask for label 0 alone, of which there is half."""
    skew = LabelSkew(np.array([0.5, 0.5]), np.array([[1.0, 0], [1.0, 0]]))
    dealt = label_skew.deal(np.arange(40) % 2, skew, 0, 'train')
    assert sorted(dealt.order.tolist()) == list(range(40))
    assert dealt.sizes.tolist() == [20, 20]


def test_it_is_drawn_by_seed_and_purpose():
    label_of, skew = labels(90), drawn()
    orders = [
        label_skew.deal(label_of, skew, seed, purpose).order.tolist()
        for seed, purpose in ((0, 'a'), (0, 'a'), (0, 'b'), (1, 'a'))
    ]
    assert orders[0] == orders[1]
    assert orders[2] != orders[0] != orders[3]
    assert drawn(seed=0).shares.tolist() != drawn(seed=1).shares.tolist()


def test_more_clients_than_instances():
    with pytest.raises(ValueError, match=r'num_clients=20 is more than the 7'):
        label_skew.deal(labels(7), drawn(), 0, 'test')
