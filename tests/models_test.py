"""Our numbers are PyTorch's, which tests/parity stored in tests/golden."""

import numpy as np
import pytest

from tests import tiny, tiny_families
from tests.exhaustive import beyond
from tests.parity import golden
from tests.parity.ours import Ours
from tests.parity.table import relative_error

PLAIN = ('tiny_untied', 'gemma3', 'opt_350m')  # by vmap; the others packed


# Those whose layers differ most.
SUITE = (
    'smollm2', 'gemma3', 'pythia', 'roberta', 't5_v1_1',
)  # fmt: skip


@pytest.fixture(scope='module', params=beyond(SUITE, golden.NAMES))
def answers(request, tmp_path_factory):
    """(name, ours, theirs): golden numbers of a model by both."""
    name = request.param
    if name == 'smollm2':
        folder = request.getfixturevalue('smollm2_folder')
    else:
        folder = tmp_path_factory.mktemp(name)
        tied = name == 'tiny_tied'
        if name in tiny_families.CONFIGS:
            tiny_families.make_checkpoint(folder, name)
        else:
            tiny.make_checkpoint(folder, seed=int(tied), tied=tied)
    case, theirs = golden.read(name)
    simulation = 'vmap' if name in PLAIN else 'packed'
    ours = golden.numbers(Ours(folder).using(simulation), case)
    return name, ours, theirs


def tolerance_of(name: str) -> float:
    """The most that logits may differ by."""
    return 1e-3 if name == 'smollm2' else 1e-4


def test_logits(answers):
    name, ours, theirs = answers
    tolerance = tolerance_of(name)
    for key in {'logits', 'top_logits', 'next_logprob'} & theirs.keys():
        np.testing.assert_allclose(
            ours[key], theirs[key], rtol=0, atol=tolerance, err_msg=key
        )


def test_the_likeliest_tokens(answers):
    name, ours, theirs = answers
    gaps = -np.diff(theirs['top_logits'])  # [n, 4], each to the next
    clear = gaps > 2 * tolerance_of(name)  # rounding may swap what is closer
    clear[:, 1:] &= clear[:, :-1].copy()
    assert clear.mean() > 0.8
    np.testing.assert_array_equal(
        ours['top_ids'][:, :-1][clear], theirs['top_ids'][:, :-1][clear]
    )


@pytest.mark.parametrize('key', ['loss', 'grad_norm', 'grad'])
def test_losses_and_gradients_of_prompts(answers, key):
    _, ours, theirs = answers
    assert relative_error(ours[key], theirs[key]) < 1e-4


def test_greedy_tokens(answers):
    _, ours, theirs = answers
    np.testing.assert_array_equal(ours['greedy'], theirs['greedy'])
