"""The plan of a study, and which of its runs are meant."""

import json

import pytest

from configs import fedavg_adam
from fedprompt_jax.study import planned, points
from fedprompt_jax.study import runs as study_runs
from fedprompt_jax.study.points import Point

HOURS = {'training': 4.0, 'validation': 2.0, 'personalization': 1.0, 'x': 0.5}


def some(*overrides):
    found = []
    for one in overrides:
        config = fedavg_adam.get_config()
        config.update_from_flattened_dict(one)
        found.append(Point(points.name_of(one), one, config))
    return found


@pytest.fixture
def plan(monkeypatch, tmp_path):
    def stand_in(config, chip, chips, *_):
        assert (chip, chips) == ('h100', config.mesh.data)
        return {'hours': HOURS, 'assumed': ['a'], 'fits': config.rounds != 9}

    monkeypatch.setattr(planned, 'plan', stand_in)

    def start(found):
        return planned.plan_all(found, tmp_path, 'h100', 0, (1, 1), tmp_path)

    return start


THREE = (
    {'personalization.l2': 0.0},
    {'personalization.l2': 0.1},
    {'personalization.l2': 0.1, 'rounds': 9},
)


def test_each_stage_1_is_counted_once(plan):
    runs, assumed = plan(some(*THREE))
    assert [run.stage_1 for run in runs] == [6.0, 0.0, 6.0]
    assert [run.stage_2 for run in runs] == [1.5] * 3
    assert [run.reused for run in runs] == ['', runs[0].name, '']
    text = planned.text(runs, assumed, 'x')
    assert 'what is left takes 16.50 h on x' in text
    assert '3 runs, 0 complete, 1 with the stage 1 of another' in text
    assert text.count('DOES NOT FIT') == 1 and 'Assumed: a.' in text
    runs[0] = runs[0]._replace(complete=True)
    assert 'what is left takes 9.00 h on x' in planned.text(runs, assumed, 'x')


def test_what_is_trained_is_reused(plan, tmp_path):
    (before,) = some({'personalization.l2': 7.0})
    folder = tmp_path / 'before'
    folder.mkdir()
    config, info = folder / 'config.json', folder / 'run.json'
    config.write_text(json.dumps(before.config.to_dict()))

    def hours(stage_1, other=THREE):
        info.write_text(json.dumps({'chosen_round': 5, 'stage_1': stage_1}))
        runs, _ = plan(some(*other))
        return [run.stage_1 for run in runs], runs[0].reused

    assert hours('digest') == ([0.0, 0.0, 6.0], 'the folder before')
    assert hours('')[0] == [6.0, 0.0, 6.0]  # the run of a bank
    # Other examples are scored, hence other rows.
    other = [one | {'personalization.clients': 3} for one in THREE]
    assert hours('digest', other)[0] == [6.0, 0.0, 6.0]


def test_only_the_runs_with_a_value():
    found = some(*THREE)
    keep = points.only(found, ['rounds=10', 'personalization.l2=0.10,0.3'])
    assert keep == [found[1]]
    assert points.only(found, []) == found
    for wanted, told in (
        ('rounds', r'--only=rounds must be KEY=VALUE'),
        ('round=1', r"no key 'round'; near it are rounds"),
        ('partition=high', r'near it are .*data\.partition'),
        ('rounds=1', r'no run has this value; there are 10, 9'),
    ):
        with pytest.raises(ValueError, match=told):
            points.only(found, [wanted])


def test_machines_are_named():
    paper = fedavg_adam.get_config('paper')
    of_paper = Point('', {}, paper)
    assert planned.machine([of_paper], 'v5p', 0) == '64 x v5p'
    assert planned.machine([of_paper], 'h100', 8) == '8 x h100'
    assert planned.machine(some(*THREE), 'cpu', 0) == 'this machine'
    assert 'machines like this' in planned.machine([of_paper], 'cpu', 0)


def test_a_run_of_an_equal_config_is_that_run(tmp_path):
    one, other = some({'rounds': 9}, {'seed': 7})
    folder = tmp_path / 'elsewhere'
    folder.mkdir()
    (folder / 'config.json').write_text(json.dumps(one.config.to_dict()))
    found = study_runs.folders_of([one, other], tmp_path)
    assert found == [folder, tmp_path / other.name]
    (tmp_path / one.name).mkdir()
    assert study_runs.folders_of([one], tmp_path) == [tmp_path / one.name]


def test_banks_hold_runs_that_can_share_a_call():
    lengths = [{'prompt.length': n, 'seed': s} for s in (1, 2) for n in (5, 9)]
    assert study_runs.groups_of(some(*lengths), 2) == [[0, 2], [1, 3]]


def test_names_hold_what_differs():
    assert points.differing([{'a': 1, 'b': 2}, {'a': 1, 'b': 3}, {'a': 1}]) == [
        {'b': 2},
        {'b': 3},
        {},
    ]
    assert points.differing([{'a': 1, 'b': 1}, {'a': 1, 'b': 2}, {'a': 2}]) == [
        {'a': 1, 'b': 1},
        {'a': 1, 'b': 2},
        {'a': 2},
    ]


def test_a_long_name_ends_in_its_digest():
    names = {points.name_of({'x' * 300: i}) for i in range(3)}
    assert len(names) == 3
    assert all(len(name) <= points.LONGEST for name in names)
    assert points.name_of({'seed': 1}) == 'seed=1'
