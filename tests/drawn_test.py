"""What the figures of a run show: each number where its axis says."""

import json
import math

import numpy as np
import pytest

from fedprompt_jax.report import figures
from fedprompt_jax.report.run import Run
from tests import tiny_report

# Rounds, validation score and its standard error.
VALIDATED = ((0, 4.0, 0.5), (1, 6.0, 0.25), (2, 9.0, 1.0), (3, 8.0, 2.0))
TRAINED = {
    'loss': [4.0, 3.0, 2.0],
    'loss_first_step': [5.0, 4.0, 3.0],
    'loss_last_step': [3.5, 2.5, 1.5],
    'prompt_norm': [40.0, 41.0, 42.0],
    'client_grad_norm': [0.5, None, 0.25],
    'update_norm': [1.0, 0.5, 0.0],
}


@pytest.fixture
def axes(tmp_path):
    """The axes of each figure of a run, by the figure's name."""
    tiny_report.write_scores(tmp_path, tiny_report.scores())
    lines = [
        {'stage': 'train', 'round': r + 1}
        | {key: values[r] for key, values in TRAINED.items()}
        for r in range(3)
    ]
    lines += [
        {'stage': 'validation', 'round': r, 'rouge_l': x, 'rouge_l_se': se}
        for r, x, se in VALIDATED
    ]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (tmp_path / 'metrics.jsonl').write_text(text)
    run = Run(tmp_path)
    drawn = {name: figures.get(name).draw([run]) for name in figures.names()}
    # Some algorithms have these, or measures, or answers that are kept.
    assert {k for k, v in drawn.items() if v is None} == {
        'distill', 'layers', 'views', 'heterogeneity', 'landscape', 'transfer'
    }  # fmt: skip
    return {k: v.axes for k, v in drawn.items() if v is not None}


def line(ax, label):
    """The points of the line with this label, [n, 2]."""
    (found,) = [x for x in ax.lines if x.get_label().startswith(label)]
    return np.column_stack([found.get_xdata(), found.get_ydata()])


def dots(ax, label):
    (found,) = [x for x in ax.collections if x.get_label().startswith(label)]
    return np.asarray(found.get_offsets())


def test_local_scores_lie_across_and_global_ones_up(axes):
    """From the global prompt (20, 25) to the last epoch (26, 21.5)."""
    for ax in axes['tradeoff']:
        assert ax.get_xlabel().startswith('local ')
        assert ax.get_ylabel().startswith('global ')
        (bars,) = ax.containers
        path = np.column_stack([bars.lines[0].get_data()]).T
        np.testing.assert_allclose(path, [(20, 25), (22, 24), (26, 21.5)])
        averaged = line(ax, 'averaged')
        expected = [(20, 25), (22.5, 23.5), (24, 23), (26, 21.5)]
        np.testing.assert_allclose(averaged, expected)
    across, up = bars.lines[2]
    halves = [abs(b - a)[0] / 2 for a, b in across.get_segments()]
    assert halves[0] == pytest.approx(10 / math.sqrt(3))  # of 10, 20 and 30
    halves = [abs(b - a)[1] / 2 for a, b in up.get_segments()]
    assert halves[2] == pytest.approx(1.5)  # of 20 and 23


def test_the_anchors_are_where_their_prompts_score(axes):
    left, _ = axes['tradeoff']
    for label, spot in (
        ('bare model', (2, 5)),
        ('initial prompt', (3, 4)),
        ('global prompt', (20, 25)),
        ('personalized prompt, epoch 2', (26, 21.5)),
    ):
        np.testing.assert_allclose(dots(left, label), [spot])
    first = line(left, 'each client')
    np.testing.assert_allclose(first, [(10, 25), (11, 24), (14, 20)])


def test_arrows_go_from_the_global_to_the_own_prompt(axes):
    """Of clients that have both; one was dropped."""
    left, _ = axes['clients']
    arrows = [(t.xyann, t.xy) for t in left.texts]
    assert arrows == [((10, 25), (14, 20)), ((30, 25), (38, 23))]
    np.testing.assert_allclose(
        dots(left, 'global prompt'), [(10, 25), (30, 25)]
    )
    np.testing.assert_allclose(dots(left, 'own'), [(14, 20), (38, 23)])


def test_percentiles_are_over_clients(axes):
    _, right = axes['clients']
    for label, before in (('90th', 28), ('50th', 20), ('10th', 12)):
        np.testing.assert_allclose(line(right, label)[0], (before, 25))
    np.testing.assert_allclose(line(right, '50th')[2], (26, 21.5))


def test_losses_and_validation_by_round(axes):
    losses, validation = axes['training']
    for label, key in (
        ('all local steps', 'loss'),
        ('first step', 'loss_first_step'),
        ('last step', 'loss_last_step'),
    ):
        expected = list(enumerate(TRAINED[key], start=1))
        np.testing.assert_allclose(line(losses, label), expected)
    mean = line(validation, 'mean over clients')
    np.testing.assert_allclose(mean, [v[:2] for v in VALIDATED])
    np.testing.assert_allclose(dots(validation, 'goes to'), [(2, 9)])
    (band,) = [x for x in validation.collections if '±' in x.get_label()]
    corners = band.get_paths()[0].vertices
    for r, x, se in VALIDATED:
        heights = corners[corners[:, 0] == r][:, 1]
        assert (heights.min(), heights.max()) == (x - se, x + se)


def test_norms_by_round_on_a_log_axis(axes):
    (ax,) = axes['norms']
    assert ax.get_yscale() == 'log'
    nan = math.nan
    for label, values in (
        ('‖P‖', [40, 41, 42]),
        ('‖g‖', [0.5, nan, 0.25]),
        ('‖ΔP‖', [1, 0.5, nan]),
    ):
        expected = list(enumerate(values, start=1))
        np.testing.assert_allclose(line(ax, label), expected)
