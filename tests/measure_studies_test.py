"""Studies that measure: what they run, what they draw, what they say."""

import json
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

from configs import fedavg_adam
from configs.studies.profit import flatness as flatness_study
from configs.studies.profit import measured_heterogeneity as measured_study
from configs.studies.profit import settings
from fedprompt_jax.experiment import shared_stage
from fedprompt_jax.report import canvas, figures
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import (
    flatness,
    heterogeneities,
    outputs,
    points,
    table,
)
from tests import tiny_report

FOLDER = Path(__file__).parents[1] / 'configs/studies/profit'
SCALES = ('quickstart', 'sni', 'paper')


def read(name: str, scale: str = 'quickstart'):
    config = fedavg_adam.get_config(scale)
    return points.read(FOLDER / f'{name}.py', config, files=False)


def stage_1(point) -> str:
    return json.dumps(shared_stage.settings(point.config.to_dict()))


@pytest.mark.parametrize('scale', SCALES)
def test_rounds_are_those_of_figures_4_and_14(scale):
    """Measures are nothing that stage 1 depends on."""
    four, fourteen = (
        {stage_1(p) for p in read(name, scale)}
        for name in ('figure_4', 'figure_14')
    )
    flat = [stage_1(p) for p in read('flatness', scale)]
    assert len(set(flat)) == 4
    assert set(flat[:2]) <= four and set(flat[2:]) <= fourteen
    measured = [stage_1(p) for p in read('measured_heterogeneity', scale)]
    assert len(set(measured)) == 12
    assert set(measured[:6]) <= four


@pytest.mark.parametrize('scale', SCALES)
def test_mixtures_are_trained_at_the_rates_of_medium_heterogeneity(scale):
    found = [p.config for p in read('measured_heterogeneity', scale)]
    medium, mixed = found[2], found[6:]
    assert [c.data.dirichlet_alpha for c in mixed] == [0.1] * 2 + [1] * 2 + [
        10
    ] * 2
    for config in mixed:
        assert config.data.partition == 'dirichlet'
        assert config.client.learning_rate == medium.client.learning_rate
        assert config.server.learning_rate == medium.server.learning_rate
    assert {c.measures for c in found} == {('heterogeneity',)}


def landscape(scale: float, random: int = 2) -> dict:
    """Parabolas whose curvature a scale multiplies."""
    at = np.array([-0.5, 0.0, 0.5])
    kinds = ['displacement', 'gradient', 'client', *['random'] * random]
    curves = [
        {
            'direction': kind,
            'client': 3 if kind == 'client' else None,
            'length': 0.1,
            'losses': (2 + scale * (number + 1) * at**2).tolist(),
            'own': [1.0, 2.0, 3.0] if kind == 'client' else None,
        }
        for number, kind in enumerate(kinds)
    ]
    return {
        'round': 3, 'clients': [3, 4], 'examples': 8, 'loss': 2.0,
        'prompt_norm': 10.0, 'gradient_norm': 0.1,
        'gradient_over_prompt': 0.01, 'at': at.tolist(), 'curves': curves,
        'eigenvalues': {
            'largest': [scale, scale / 2], 'largest_bounds': [0.01, 0.02],
            'smallest': [-scale / 4, 0.0], 'smallest_bounds': [0.0, 0.0],
            'steps': 9,
        },
    }  # fmt: skip


def heterogeneity(kl: float, corrected: float | None = 0.5) -> dict:
    part = {'mean': kl, 'se': 0.1, 'shuffled': 0.25}
    return {
        'training_clients': 9, 'measured_clients': 4, 'examples': 8,
        'kl': {'task': part, 'type': part | {'mean': 2 * kl}},
        'vocabulary': part | {'shuffled': 0.5},
        'gradients': {
            'clients': 4, 'norm': 1.0, 'dispersion': 2.0, 'noise': 1.0,
            'corrected': corrected, 'cosine': 0.3, 'cosine_halves': 0.6,
        },
        'prompts': {
            'clients': 2, 'moved': 0.2, 'dispersion': 0.1, 'cosine': None,
        },
    }  # fmt: skip


def made(tmp_path, name: str, records, file: str, missing=()):
    """Results of a study whose first runs have these records."""
    found = read(name)[: len(records)]
    folders = [tmp_path / f'{i}' for i in range(len(found))]
    for folder, record in zip(folders, records, strict=True):
        tiny_report.make_run(folder)
        if record is not None:
            (folder / file).write_text(json.dumps(record))
    ends = [
        'not complete' if i in missing else table.COMPLETE
        for i in range(len(found))
    ]
    return outputs.results(found, folders, ends)


@pytest.fixture
def flat(tmp_path):
    records = [landscape(4.0), landscape(8.0, random=0), None, landscape(1.0)]
    return made(tmp_path, 'flatness', records, 'landscape.json', missing=[3])


def test_rises_are_means_over_the_lines_of_a_kind():
    record = landscape(4.0)
    # Lines 4 and 5 are random: 4 (4 + 5) / 2 a quarter is 4.5.
    rise = flatness.rises(record, 'random')
    assert rise.tolist() == pytest.approx([4.5, 0, 4.5])
    assert flatness.rises(landscape(1, random=0), 'random') is None
    record['curves'][0]['losses'] = [4.0, 2.0, 1.0]  # a slope of -3
    assert flatness.curvature(record, 'displacement') == 0.5
    record['curves'][0]['losses'] = [None, 2.0, 3.0]  # NaN is null in a file
    assert np.isnan(flatness.rises(record, 'displacement')[0])
    assert np.isnan(flatness.curvature(record, 'displacement'))


def test_the_ratio_is_of_the_same_round(flat):
    rounds, values = flatness.ratios(flat[0].run)
    assert rounds.tolist() == [1, 2, 3]
    assert values.tolist() == pytest.approx(
        [0.0125, np.nan, 0.0125], nan_ok=True
    )


def test_the_table_of_flatness_has_a_line_a_run(flat):
    header, *lines = flatness_study.tabulate(flat)
    first, second, third, last = (
        dict(zip(header, line, strict=True)) for line in lines
    )
    assert first['run'] == 'FedAvg(Adam)' and second['run'] == 'FedAvg(SGD)'
    assert (first['largest λ'], first['smallest λ']) == ('4', '-1')
    assert first['largest λ ‖P‖²'] == '400'
    assert first['‖g‖ / ‖P‖'] == '0.01'
    assert first['rise, displacement'] == '1'
    assert second['rise, random'] == '–'
    # One was not measured, and one is not complete.
    assert third['run'] == 'FedAvg(Adam), 5 tokens'
    assert set([*third.values()][1:]) == set([*last.values()][1:]) == {'–'}


def test_the_figure_of_flatness_has_a_line_a_run(flat):
    figure = flatness_study.draw(flat)
    assert isinstance(figure, matplotlib.figure.Figure)
    displacement, _, random, spectrum, by_round, _ = figure.axes
    assert len(displacement.lines) == 2 and len(random.lines) == 1
    (second,) = [
        x for x in displacement.lines if x.get_label() == 'FedAvg(SGD)'
    ]
    assert second.get_ydata().tolist() == [2.0, 0.0, 2.0]
    assert second.get_color() == canvas.style_of(1)[0]
    top = max(line.get_ydata()[0] for line in spectrum.lines)
    assert top == 800  # the largest eigenvalue times the square of |P|
    assert len(by_round.lines) == 2
    assert canvas.png(flatness_study.draw, flat)
    assert flatness_study.draw(flat[2:]) is None


@pytest.fixture
def unlike(tmp_path):
    """Two seeds of high, one of medium that was not measured, one of low."""
    records = [
        heterogeneity(1.0), heterogeneity(2.0, None), None, None,
        heterogeneity(0.25),
    ]  # fmt: skip
    results = made(
        tmp_path,
        'measured_heterogeneity',
        records,
        'heterogeneity.json',
        missing=[3],
    )
    other = [
        *tiny_report.rows_of('global', [0, 0, 0], 5),
        *tiny_report.rows_of('personalized', [9, 9, 9], [1] * 3, 2, 1.0),
    ]
    for row in other:
        row['seed'] = 1
    tiny_report.write_scores(results[1].run.folder, other)
    return results


def test_a_level_is_its_runs(unlike):
    high, medium, low = heterogeneities.levels(unlike, measured_study.name_of)
    assert [x.name for x in (high, medium, low)] == [*settings.LEVELS.values()]
    assert high.measures['KL of types, above shuffled (nats)'] == [1.75, 3.75]
    assert high.measures['KL of tasks, above shuffled (nats)'] == [0.75, 1.75]
    assert high.measures['JS of words, above shuffled (nats)'] == [0.5, 1.5]
    assert high.measures['dispersion of gradients, corrected'] == (
        pytest.approx([0.5, np.nan], nan_ok=True)
    )
    assert high.measures['cosine of gradients'] == [0.3, 0.3]
    assert high.measures['dispersion of prompts'] == [0.1, 0.1]
    assert set(map(tuple, medium.measures.values())) == {()}
    # Of seed 0 two clients gain 4 and 8 and lose 5 and 2; of seed 1 all gain
    # 9 and lose 4. A seed counts as much as another.
    local, common = high.gains['local'], high.gains['global']
    assert local.estimate == pytest.approx((6 + 9) / 2)
    assert common.estimate == pytest.approx((-3.5 - 4) / 2)
    assert local.low < local.estimate < local.high
    assert (local.seeds, local.clients, local.dropped) == (2, 5, 1)
    assert low.gains['local'].estimate == pytest.approx(6)


def test_the_table_of_heterogeneity_has_a_line_a_level(unlike):
    header, *lines = measured_study.tabulate(unlike)
    high, medium, _ = (dict(zip(header, x, strict=True)) for x in lines)
    assert high['runs'] == '2' and medium['runs'] == '0'
    assert high['KL of types, above shuffled (nats)'] == '2.75'
    assert high['dispersion of gradients, corrected'] == '0.5'
    assert high['local change'].startswith('+7.50 [')
    assert high['global change'].startswith('-3.75 [')
    assert medium['KL of types, above shuffled (nats)'] == '–'
    assert medium['local change'].startswith('+6.00 [')


def test_the_figure_of_heterogeneity_has_a_point_a_level(unlike):
    figure = measured_study.draw(unlike)
    assert isinstance(figure, matplotlib.figure.Figure)
    assert len(figure.axes) == 2 * len(heterogeneities.MEASURES)
    first, below = figure.axes[0], figure.axes[len(heterogeneities.MEASURES)]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [*settings.LEVELS.values()]
    point = first.containers[0].lines[0].get_xydata()[0]
    assert point.tolist() == pytest.approx([2.75, 7.5])
    change = below.containers[0].lines[0].get_xydata()[0][1]
    assert change == pytest.approx(-3.75)
    assert canvas.png(measured_study.draw, unlike)
    assert measured_study.draw([]) is None


def test_mixtures_have_names_of_their_own():
    found = {
        measured_study.name_of(p.overrides)
        for p in read('measured_heterogeneity')
    }
    mixtures = {f'Dirichlet, α = {alpha:g}' for alpha in (0.1, 1, 10)}
    assert found == mixtures | set(settings.LEVELS.values())


def test_figures_of_a_run_need_no_number_to_be_there(tmp_path):
    """A client alone has no spread: NaN is null."""
    tiny_report.make_run(tmp_path / 'run')
    record = heterogeneity(1.0, None)
    record['vocabulary']['se'] = record['prompts']['dispersion'] = None
    for name, content in (
        ('heterogeneity', record),
        ('landscape', landscape(1.0)),
    ):
        path = tmp_path / 'run' / f'{name}.json'
        path.write_text(json.dumps(content))
        figure = figures.get(name)
        assert canvas.png(figure.draw, [Run(tmp_path / 'run')])
        path.write_text(json.dumps(content | {'examples': 0}))
    assert figures.get('landscape').draw([Run(tmp_path / 'run')]) is None
