"""A whole run is PyTorch's, whose results tests/parity stored in tests/golden.

One run of two stages, started as main.py does, on data and a checkpoint that
are made here: what whole_run_torch.py has computed from the same files.
"""

import collections
import dataclasses

import numpy as np
import pytest

from fedprompt_jax.evaluation import text_scores
from tests.parity import whole_run, whole_run_inputs
from tests.parity.whole_run import Results, Stored
from tests.parity.whole_run_inputs import CHANGES, VARIANTS

TOLERANCE = 1e-4  # of prompts; 1e-5 of losses. Both agree to 1e-6.


@dataclasses.dataclass
class Both:
    """Our run, and the short ones by name; PyTorch's run, and all of its."""

    ours: Results
    variants: dict[str, Results]
    theirs: Results
    stored: Stored


@pytest.fixture(scope='module')
def both(tmp_path_factory) -> Both:
    folder, stored = tmp_path_factory.mktemp('whole'), whole_run.read()
    config = whole_run_inputs.make_inputs(folder)
    now = whole_run_inputs.digests(config)
    changed = [k for k, digest in stored.digests.items() if now[k] != digest]
    if changed:
        pytest.fail(
            f'The inputs have changed ({", ".join(changed)}) since PyTorch '
            'computed the stored results: python -m tests.parity '
            '--write_golden run.'
        )
    variants = {
        name: whole_run.ours(changed, folder, name)
        for name, changed in whole_run_inputs.variants(config).items()
    }
    ours = whole_run.ours(config, folder)
    return Both(ours, variants, stored.run, stored)


def test_the_prompt_of_every_round_is_pytorch_s(both):
    names = [f'round {i}' for i in range(CHANGES['rounds'] + 1)]
    assert {*names} <= both.ours.prompts.keys()
    compare_prompts(both.ours.prompts, both.theirs.prompts, names)


@pytest.mark.parametrize('name', VARIANTS)
def test_other_algorithms_prompts_are_pytorch_s(both, name):
    theirs = both.stored.variants[name]
    compare_prompts(both.variants[name].prompts, theirs, [*theirs])


def test_the_best_round_is_chosen_and_is_not_the_last(both):
    assert both.ours.chosen_round == both.theirs.chosen_round == 4
    prompts = both.ours.prompts
    np.testing.assert_array_equal(prompts['global'], prompts['round 4'])
    assert both.ours.chosen_round < CHANGES['rounds']


def test_the_prompts_that_a_run_leaves_are_pytorch_s(both):
    assert both.ours.prompts.keys() == both.theirs.prompts.keys()
    names = [k for k in both.theirs.prompts if not k.startswith('round')]
    assert len(names) == 2 + CHANGES['personalization.clients']
    compare_prompts(both.ours.prompts, both.theirs.prompts, names)


def test_the_table_has_pytorch_s_rows(both):
    assert [*both.ours.rows[0]] == [*both.theirs.rows[0]]  # the columns
    compare_labels(both.ours.rows, both.theirs.rows)
    compare_numbers(both.ours.rows, both.theirs.rows)


def test_each_answer_is_pytorch_s(both):
    compare_labels(both.ours.predictions, both.theirs.predictions)
    compare_numbers(both.ours.predictions, both.theirs.predictions)


@pytest.mark.parametrize(
    'stage', ['train', 'validation', 'personalize', 'score']
)
def test_the_log_of_a_stage_is_pytorch_s(both, stage):
    ours, theirs = (
        [line for line in results.metrics if line['stage'] == stage]
        for results in (both.ours, both.theirs)
    )
    assert theirs
    compare_labels(ours, theirs)
    compare_numbers(ours, theirs)


def test_the_stages_follow_each_other_as_in_pytorch(both):
    ours, theirs = (
        [(x['stage'], x.get('round'), x.get('epoch')) for x in results.metrics]
        for results in (both.ours, both.theirs)
    )
    assert ours == theirs


def test_each_round_sends_every_client_of_the_cohort_a_prompt_and_back(both):
    prompt = 3 * 32 * 4  # P x D in f32
    for name, results, clients in (
        ('fedavg', both.ours, 3),
        ('fedsgd', both.variants['fedsgd'], 3),
        ('centralized', both.variants['centralized'], 0),  # one place
    ):
        for line in results.metrics:
            if line['stage'] == 'train':
                sent = line['bytes_down'], line['bytes_up']
                assert sent == (clients * prompt, clients * prompt), name


def test_what_is_compared_tells_apart_what_a_run_can_mix_up(both):
    """Of the stored results: else equal numbers would say nothing."""
    local = collections.defaultdict(list)
    for row in both.theirs.rows:
        key = row['prompt'], row['epoch'], row['alpha'], row['split']
        if row['loss'] != 'nan':  # of an anchor without a model
            local[key].append(float(row['loss']))
    losses = [tuple(x) for key, x in local.items() if key[-1] == 'local']
    assert len(set(losses)) == len(losses) == 7
    scores = {float(row['rouge_l']) for row in both.theirs.rows}
    assert len(scores - {0.0, 100.0}) > 15
    assert any(float(row['exact_match']) for row in both.theirs.rows)
    second = [
        x
        for x in both.theirs.predictions
        if len(x['references']) > 1
        and text_scores.rouge_l(x['prediction'], x['references'][:1])
        < x['rouge_l']
    ]
    assert len(second) > 10  # the best reference is not the first
    initial, *trained = [
        x['rouge_l'] for x in both.theirs.metrics if x['stage'] == 'validation'
    ]
    assert initial > max(trained)  # and is not chosen all the same
    moves = whole_run.moves(both.theirs.prompts)
    assert min(np.linalg.norm(x) for x in moves.values()) > 0.5


def compare_prompts(ours, theirs, names) -> None:
    """What training changed, by the norm of the difference."""
    for start in {'initial', 'round 0'} & {*names}:
        np.testing.assert_allclose(ours[start], theirs[start], rtol=1e-6)
        names = [name for name in names if name != start]
    ours, theirs = whole_run.moves(ours), whole_run.moves(theirs)
    for name in names:
        error = np.linalg.norm(ours[name] - theirs[name])
        error /= np.linalg.norm(theirs[name])
        assert error < TOLERANCE, (name, error)


def compare_labels(ours, theirs) -> None:
    """All of each line but its measured numbers: who, what, texts, counts."""
    pairs = zip(whole_run.labels(ours), whole_run.labels(theirs), strict=True)
    for mine, yours in pairs:
        assert mine == yours


def compare_numbers(ours, theirs) -> None:
    """Losses and norms up to rounding, scores exactly."""
    for mine, yours in zip(ours, theirs, strict=True):
        numbers = whole_run.MEASURED | whole_run.SCORES
        assert mine.keys() & numbers == yours.keys() & numbers
        for key in yours.keys() & numbers:
            if yours[key] is None:  # the loss of an anchor without a model
                assert mine[key] is None
                continue
            rtol = 1e-5 if key in whole_run.MEASURED else 1e-12
            np.testing.assert_allclose(
                float(mine[key]),
                float(yours[key]),
                rtol,
                err_msg=f'{key} of {whole_run.labels([yours])[0]}',
            )
