"""Profit's figures as studies: settings, what they share, their panels."""

import json
from pathlib import Path

import matplotlib.figure
import pytest

from configs import fedavg_adam
from configs.studies.profit import settings
from fedprompt_jax.experiment import shared_stage, train
from fedprompt_jax.report import page
from fedprompt_jax.study import outputs, points, runs, table
from tests import tiny_report, tiny_run

FOLDER = Path(__file__).parents[1] / 'configs/studies/profit'
STUDIES = sorted(path.stem for path in FOLDER.glob('figure_*.py'))
every_study = pytest.mark.parametrize('name', STUDIES)
# (server, client, personalization) learning rates of tables 2 and 3, "high
# computation"; FedSGD has no rate of clients.
PAPER = {
    ('FedAvg(Adam)', 'high'): (1.0, 0.1, 0.01),
    ('FedAvg(Adam)', 'medium'): (0.1, 1.0, 0.01),
    ('FedAvg(Adam)', 'low'): (0.1, 1.0, 0.01),
    ('FedAvg(SGD)', 'high'): (1.0, 10.0, 0.01),
    ('FedAvg(SGD)', 'medium'): (0.1, 10.0, 0.001),
    ('FedAvg(SGD)', 'low'): (1.0, 10.0, 0.01),
    ('FedSGD', 'high'): (1.0, None, 10**-1.5),
    ('FedSGD', 'medium'): (1.0, None, 0.01),
    ('FedSGD', 'low'): (1.0, None, 0.01),
    ('FedSGD-LB', 'high'): (0.01, None, 0.001),
    ('FedSGD-LB', 'medium'): (0.1, None, 0.001),
    ('FedSGD-LB', 'low'): (0.1, None, 0.001),
    ('Centralized', 'high'): (1.0, None, 0.01),
}


def read(name: str, scale: str = 'quickstart'):
    config = fedavg_adam.get_config(scale)
    return points.read(FOLDER / f'{name}.py', config, files=False)


def stage_1(point) -> str:
    return json.dumps(shared_stage.settings(point.config.to_dict()))


@pytest.mark.parametrize('case', PAPER, ids=str)
def test_rates_at_the_paper_s_scale_are_its_tables(case):
    name, level = case
    config = fedavg_adam.get_config('paper')
    config.update_from_flattened_dict(settings.overrides(config, level, name))
    found = [
        config.server.learning_rate,
        config.client.learning_rate,
        config.personalization.learning_rate,
    ]
    for ours, theirs in zip(found, PAPER[case], strict=True):
        assert theirs is None or ours == pytest.approx(theirs)
    assert (config.scale, config.data.partition) == (f'paper-{level}', level)
    # 300 rounds of 16 steps of 32 examples, or as many examples otherwise.
    each = config.rounds * config.clients_per_round * config.local_steps
    assert each * config.batch_size == 4_915_200


@every_study
@pytest.mark.parametrize('scale', ['quickstart', 'sni', 'paper'])
def test_points_are_configs_at_every_scale(name, scale):
    found = read(name, scale)
    assert {p.config.data.partition for p in found} == set(settings.LEVELS)
    lines = [stage_1(p) + json.dumps(p.overrides) for p in found]
    assert len(set(lines)) == len(found)


def test_the_remedies_of_a_level_share_its_prompt():
    five, nineteen = (
        {stage_1(p) for p in read(name)} for name in ('figure_5', 'figure_19')
    )
    assert five == nineteen and len(five) == 3
    assert len({stage_1(p) for p in read('figure_4')}) == 18


def test_low_computation_is_the_paper_s():
    for point in read('figure_5', 'paper'):
        p = point.config.personalization
        assert (p.epochs, p.learning_rate, p.every) == (10, 0.1, 1)
        assert p.alphas == tuple(i / 10 for i in range(1, 10))


def made(tmp_path, name: str, missing=()) -> list[outputs.Result]:
    """Results of a study from made-up run folders."""
    found = read(name)
    tmp_path.mkdir(exist_ok=True)
    folders = [tmp_path / f'{i}' for i in range(len(found))]
    for folder in folders:
        tiny_report.make_run(folder)
    ends = [
        'not complete' if i in missing else table.COMPLETE
        for i in range(len(found))
    ]
    return outputs.results(found, folders, ends)


def labels(axes) -> list[str]:
    return axes.get_legend_handles_labels()[1]


@every_study
def test_a_panel_for_each_level_and_a_line_for_each_kind(name, tmp_path):
    module = points.load(FOLDER / f'{name}.py')
    figure = module.draw(made(tmp_path, name))
    assert isinstance(figure, matplotlib.figure.Figure)
    assert [a.get_title() for a in figure.axes] == [*settings.LEVELS.values()]
    expected = {
        'figure_4': ['FedAvg(Adam)', 'FedAvg(SGD)', 'FedSGD'],
        'figure_5': [
            'λ = 0', 'λ = 0, averaged', 'λ = 0.0001', 'λ = 0.001',
            'λ = 0.001, averaged', 'λ = 0.01',
        ],
        'figure_13': ['FedSGD', 'FedSGD-LB'],
        'figure_19': [
            'λ = 0', 'λ = 0, averaged', 'λ = 0.001', 'freeze-first',
            'freeze-last',
        ],
    }  # fmt: skip
    for axes in figure.axes:
        assert sorted(labels(axes)) == sorted(expected[name])
    assert module.CAPTION


def test_a_line_without_a_run_is_named(tmp_path):
    """Points 0 and 1 are seeds of one line; 2 and 3 those of the next."""
    results = made(tmp_path, 'figure_4', missing=(0, 2, 3))
    figure = points.load(FOLDER / 'figure_4.py').draw(results)
    assert sorted(labels(figure.axes[0])) == [
        'FedAvg(Adam) (1 of 2 runs)', 'FedAvg(SGD): no result', 'FedSGD',
    ]  # fmt: skip
    nothing = made(tmp_path / 'none', 'figure_13', missing=range(6))
    assert points.load(FOLDER / 'figure_13.py').draw(nothing) is None


def test_seeds_of_a_line_are_pooled(tmp_path):
    """A line is the mean over the clients of both."""
    results = made(tmp_path, 'figure_4')
    other = [
        *tiny_report.rows_of('global', [40, 50, 60], 45),
        *tiny_report.rows_of('personalized', [70, 80, 90], [5] * 3, 2, 1.0),
    ]
    tiny_report.write_scores(results[1].run.folder, other)
    figure = points.load(FOLDER / 'figure_4.py').draw(results)
    line = figure.axes[0].lines[0].get_xydata()
    # Of (10, 20, 30) and (40, 50, 60) at first, each with one global score.
    assert line[0].tolist() == [35.0, 35.0]
    # At last of (14, 38), one client having been dropped, and (70, 80, 90).
    assert line[-1].tolist() == pytest.approx([58.4, (20 + 23 + 15) / 5])


def test_a_study_of_a_level_runs_and_trains_once(tmp_path, monkeypatch):
    rounds = []
    original = train.train_round

    def counted(experiment, run, clients, state, *rest):
        rounds.append(int(state.server.round))
        return original(experiment, run, clients, state, *rest)

    monkeypatch.setattr(train, 'train_round', counted)
    monkeypatch.setattr(page, 'write', lambda *_: None)
    monkeypatch.setattr(settings, 'LEVELS', {'high': 'high heterogeneity'})
    made = tiny_run.Runs(tmp_path)
    config = made.config(rounds=2, personalization__epochs=4)
    file = FOLDER / 'figure_19.py'
    found, module = points.read(file, config), points.load(file)
    study = outputs.Study(tmp_path / '19', '19', module.CAPTION, module.draw)
    runs.run_all(found, tmp_path / 'runs', tmp_path / 'cache', 1, study)
    assert len(rounds) == 2, 'stage 1 was trained again'
    left = {path.name for path in study.folder.iterdir()}
    assert left == {'figure.png', 'report.html', 'table.csv', 'table.md'}
    assert len(list((tmp_path / 'runs').iterdir())) == len(found) == 4


def test_runs_of_figure_19_are_those_of_figure_5():
    """By their folders: what one of them has made the other does not."""
    five, nineteen = (
        {point.name for point in read(name)}
        for name in ('figure_5', 'figure_19')
    )
    assert len(five & nineteen) == 6
