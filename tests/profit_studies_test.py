"""Profit's figures as studies: settings, what they share, their panels."""

import functools
import json
from pathlib import Path

import matplotlib.figure
import pytest

from configs import fedavg_adam, fedavg_sgd
from configs.studies.profit import settings
from fedprompt_jax.experiment import shared_stage
from fedprompt_jax.study import outputs, points, table
from tests import tiny_report
from tests.exhaustive import beyond

FOLDER = Path(__file__).parents[1] / 'configs/studies/profit'
# Beyond the paper's figures; they have tests of their own.
OTHERS = {'flatness', 'measured_heterogeneity'}
STUDIES = sorted({p.stem for p in FOLDER.glob('*.py')} - {'settings', *OTHERS})
every_study = pytest.mark.parametrize('name', STUDIES)
LEVELS, HIGH = [*settings.LEVELS.values()], ['high heterogeneity']
THREE = ['FedAvg(Adam)', 'FedAvg(SGD)', 'FedSGD']
RATES = [f'rate {rate:.3g}' for rate in (1e-3, 1e-2, 10**-1.5, 0.1, 10**-0.5)]
PENALTIES = [
    'λ = 0', 'λ = 0, averaged', 'λ = 0.0001', 'λ = 0.001',
    'λ = 0.001, averaged', 'λ = 0.01',
]  # fmt: skip
REMEDIES = [
    *PENALTIES, 'freeze-first', 'freeze-last',
]  # fmt: skip
DECILES = ('10th percentile', '90th percentile')
NORMS = [
    '‖P‖ of the global prompt',
    '‖ΔP‖ of a round',
    '‖g‖, mean over clients',
]
# Study -> titles of its panels, names of the lines of each. Runs that are made
# up have one baseline.
PANELS = {
    'figure_3_left': (HIGH, [*RATES, 'no prompt']),
    'figure_3_center': (
        HIGH,
        ['Centralized', 'FedAvg(Adam)', 'Random-Gaussian', 'Random-Word',
         'no prompt'],
    ),
    'figure_3_right': (THREE[:2], NORMS),
    'figure_4': (LEVELS, [*THREE, 'no prompt']),
    'figure_5': (LEVELS, PENALTIES),
    'figure_7': (HIGH, [*RATES, 'no prompt']),
    'figure_8': (LEVELS, [*THREE, 'no prompt']),
    'figure_9': (LEVELS, [*THREE, 'no prompt']),
    'figure_10': (HIGH, THREE[:2]),
    'figure_11': (LEVELS, ['24 examples', '6 examples']),
    'figure_12': (LEVELS, THREE),
    'figure_13': (LEVELS, ['FedSGD', 'FedSGD-LB']),
    'figure_14': (LEVELS, ['5 tokens', '10 tokens', '20 tokens']),
    'figure_15': (LEVELS, ['5 tokens', '10 tokens', '20 tokens']),
    'figure_16': (LEVELS, ['5 tokens', '10 tokens', '20 tokens']),
    'figure_17': (
        ['high heterogeneity, 3 clients, 1 dropped'],
        ['global prompt', 'own prompt, epoch 2'],
    ),
    'figure_18': (LEVELS, [f'{n}, {q}' for n in THREE for q in DECILES]),
    'figure_19': (LEVELS, REMEDIES),
}  # fmt: skip
# Studies with a table, of high heterogeneity alone.
ALONE = ('seen_types', 'equal_budget')
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


@functools.cache
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
@pytest.mark.parametrize(
    'scale', beyond(['paper'], ['quickstart', 'sni', 'paper'])
)
def test_points_are_configs_at_every_scale(name, scale):
    found = read(name, scale)
    # What the paper shows at high heterogeneity alone is of that alone.
    alone = name in ALONE or (
        name in PANELS and 3 not in map(len, PANELS[name][:1])
    )
    expected = {'high'} if alone else set(settings.LEVELS)
    assert {p.config.data.partition for p in found} == expected
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


@pytest.mark.parametrize('name', PANELS)
def test_a_panel_for_each_level_and_a_line_for_each_kind(name, tmp_path):
    module = points.load(FOLDER / f'{name}.py')
    figure = module.draw(made(tmp_path, name))
    assert isinstance(figure, matplotlib.figure.Figure)
    titles, lines = PANELS[name]
    assert [a.get_title() for a in figure.axes] == titles
    for axes in figure.axes:
        assert sorted(labels(axes)) == sorted(lines)
    assert f'figure {name.split("_")[1]}' in module.CAPTION


def test_a_line_without_a_run_is_named(tmp_path):
    """Points 0 and 1 are seeds of one line; 2 and 3 those of the next."""
    results = made(tmp_path, 'figure_4', missing=(0, 2, 3))
    figure = points.load(FOLDER / 'figure_4.py').draw(results)
    assert sorted(labels(figure.axes[0])) == [
        'FedAvg(Adam) (1 of 2 runs)', 'FedAvg(SGD): no result', 'FedSGD',
        'no prompt',
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


def test_runs_of_figure_19_are_those_of_figure_5():
    """By their folders: what one of them has made the other does not."""
    five, nineteen = (
        {point.name for point in read(name)}
        for name in ('figure_5', 'figure_19')
    )
    assert len(five & nineteen) == 12


@pytest.mark.parametrize(
    ('name', 'of', 'count'),
    [
        ('figure_3_right', 'figure_4', 2),
        ('figure_8', 'figure_4', 9),
        ('figure_9', 'figure_4', 9),
        ('figure_18', 'figure_4', 18),
        ('figure_17', 'figure_5', 1),
    ],
)
def test_figures_of_the_same_runs_have_their_folders(name, of, count):
    found, others = ({p.name for p in read(x)} for x in (name, of))
    assert found <= others and len(found) == count


def test_a_random_prompt_is_trained_by_no_round():
    kinds = {
        settings.algorithm_of(p.overrides): (
            p.config.rounds,
            p.config.prompt.init,
            p.config.prompt.scale,
        )
        for p in read('figure_3_center', 'paper')
    }
    assert kinds['Random-Gaussian'] == (0, 'normal', 0.5)  # N(0, 0.25)
    assert kinds['Random-Word'][:2] == (0, 'vocabulary')
    assert kinds['FedAvg(Adam)'][0] == 300
    assert kinds['Centralized'][0] == 4800


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        # (epochs, every, examples) of the paper; see its figures.
        ('figure_3_left', {(100, 4, 256), (20, 1, 256)}),
        ('figure_7', {(100, 4, 256), (20, 1, 256)}),
        ('figure_3_center', {(100, 4, 256)}),
        ('figure_4', {(100, 4, 256)}),
        ('figure_10', {(10, 1, 256)}),
        ('figure_11', {(100, 4, 256), (224, 4, 64)}),
        ('figure_12', {(30, 3, 64)}),
        ('figure_17', {(10, 1, 256)}),
    ],
)
def test_personalization_at_the_paper_s_scale(name, expected):
    found = set()
    for point in read(name, 'paper'):
        p = point.config.personalization
        found.add((p.epochs, p.every, p.train_examples))
    assert found == expected


def test_low_computation_has_one_other_rate():
    rates = {
        (p.config.data.partition, settings.algorithm_of(p.overrides)): (
            p.config.personalization.learning_rate
        )
        for p in read('figure_12', 'paper')
    }
    assert rates.pop(('medium', 'FedAvg(SGD)')) == 0.01
    assert set(rates.values()) == {0.1}


def test_rates_are_tuned_on_validation_clients():
    for name in ('table_2', 'table_3'):
        for point in read(name, 'paper'):
            assert point.config.personalization.split == 'validation'
    # 3 levels, 4 x 4 pairs or 4 rates of the server.
    assert len({stage_1(p) for p in read('table_2')}) == 3 * (2 * 16 + 3 * 4)
    assert len({stage_1(p) for p in read('table_3')}) == 3 * 7


def test_routers_are_fitted_on_validation_clients_of_the_same_prompt():
    found = read('router', 'paper')
    for level in settings.LEVELS:
        of_level = [p for p in found if p.config.data.partition == level]
        splits = [p.config.personalization.split for p in of_level]
        assert splits == ['validation', 'test']
        assert len({stage_1(p) for p in of_level}) == 1
        assert {p.config.personalization.method for p in of_level} == {'router'}


def test_types_that_training_saw_are_compared_with_those_it_did_not():
    found = read('seen_types', 'paper')
    kinds = [(p.config.data.splits, p.config.seed) for p in found]
    assert kinds == [
        ('clients', 0), ('clients', 1), ('random', 0), ('random', 1),
    ]  # fmt: skip


@pytest.mark.parametrize('level', settings.LEVELS)
def test_only_clients_that_train_have_a_rate(level):
    config = fedavg_adam.get_config('paper')
    for name in settings.ALGORITHMS:
        found = settings.overrides(config, level, name)
        has = name.startswith('FedAvg') and (level, name) != (
            'high', 'FedAvg(Adam)',  # whose rate is the config's
        )  # fmt: skip
        assert ('client.learning_rate' in found) == has


def test_studies_start_from_fedavg_adam():
    with pytest.raises(ValueError, match=r'start them from configs/fedavg_ad'):
        points.read(
            FOLDER / 'figure_5.py', fedavg_sgd.get_config(), files=False
        )


def test_a_baseline_is_drawn_once_for_all_runs_of_a_seed(tmp_path):
    """The mean over clients of (1, 2, 3) at the global score of 5."""
    figure = points.load(FOLDER / 'figure_8.py').draw(
        made(tmp_path, 'figure_8')
    )
    (mark,) = [
        line for line in figure.axes[0].lines if line.get_label() == 'no prompt'
    ]
    assert mark.get_xydata().tolist() == [[2.0, 5.0]]


def test_percentiles_are_over_the_clients_of_all_seeds(tmp_path):
    results = made(tmp_path, 'figure_18')
    other = [
        *tiny_report.rows_of('global', [40, 50, 60], 45),
        *tiny_report.rows_of('personalized', [70, 80, 90], [5] * 3, 2, 1.0),
    ]
    tiny_report.write_scores(results[1].run.folder, other)
    figure = points.load(FOLDER / 'figure_18.py').draw(results)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    low = lines['FedAvg(Adam), 10th percentile'].get_xydata()
    high = lines['FedAvg(Adam), 90th percentile'].get_xydata()
    # Of 10, 20, ... 60 local and 25, 25, 25, 45, 45, 45 global scores.
    assert low[0].tolist() == [15.0, 25.0]
    assert high[0].tolist() == [55.0, 45.0]


def test_kinds_of_one_budget_send_about_as_many_bytes():
    """And without a budget they have the sizes of the config."""
    module = points.load(FOLDER / 'equal_budget.py')
    config = fedavg_adam.get_config()
    trained: dict[str, set[int]] = {}
    for overrides in module.points(config):
        sizes = {
            key: value
            for key, value in overrides.items()
            if key.partition('.')[0] in module.SIZES or key == 'peft'
        }
        number = module.numbers(config, sizes, module.CACHE)
        trained.setdefault(module.budget_of(overrides), set()).add(number)
    ia3 = module.numbers(config, {'peft': 'ia3'}, module.CACHE)
    assert trained[module.EQUAL] and ia3 in trained[module.SHIPPED]
    for number in trained[module.EQUAL]:
        assert 0.85 < number / ia3 < 1.15
    assert max(trained[module.SHIPPED]) > 10 * ia3


def test_validation_chooses_the_rate_of_each_kind(tmp_path):
    """Test scores are not read: those of one run alone are absurd."""
    module = points.load(FOLDER / 'equal_budget.py')
    results = made(tmp_path, 'equal_budget')
    best = 4  # of the second group of three rates: prompts of equal bytes
    for number, result in enumerate(results):
        score = 50.0 if number == best else 10.0
        line = {'stage': 'validation', 'round': 1, 'loss': 1.0}
        line |= {'rouge_l': score, 'exact_match': score}
        path = result.run.folder / 'metrics.jsonl'
        path.write_text(json.dumps(line) + '\n')
        config = json.loads((result.run.folder / 'config.json').read_text())
        config |= {'prompt': {'length': 7}, 'clients_per_round': 2}
        for key in module.SIZES.values():
            section, _, name = key.partition('.')
            if section:
                config.setdefault(section, {})[name] = 7
        (result.run.folder / 'config.json').write_text(json.dumps(config))
    chosen = module.chosen(results)
    assert chosen[module.EQUAL, 'prompt'] is results[best]
    assert chosen[module.EQUAL, 'ia3'] is chosen[module.SHIPPED, 'ia3']
    header, *lines = module.tabulate(results)
    assert len(lines) == 2 * len(module.SIZES)
    assert all(len(line) == len(header) for line in lines)
    assert module.draw(results) is not None
