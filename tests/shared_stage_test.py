"""Runs that differ in stage 2 alone train their prompt once, to the bit."""

import contextlib
from pathlib import Path
import shutil
import types

import pytest

from configs import ditto, fedavg_adam
from fedprompt_jax.experiment import preemption, shared_stage, train
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.run_folder import FREE_KEYS, ROUNDING_KEYS
from fedprompt_jax.report import page
from fedprompt_jax.study import outputs, points, runs
from tests.exhaustive import beyond
from tests.tiny_run import Runs, StopAfter, info, results

SHORT = {
    'rounds': 3,
    'validation__every': 2,
    'personalization__epochs': 1,
    'personalization__every': 1,
}
# Keys of stage 2 alone.
OTHERS = [
    {'personalization__l2': 0.5},
    {'personalization__learning_rate': 0.2, 'personalization__epochs': 2},
    {'personalization__train_examples': 3, 'personalization__batch_size': 2},
    {'personalization__alphas': (0.25, 0.75)},
    {'checkpoint__every': 2, 'name': 'another'},
]
# And keys that stage 1 reads.
TRAINED_OTHERWISE = [
    {'seed': 1},
    {'client__learning_rate': 0.05},
    {'validation__examples': 2},
    {'rounds': 4},
    {'data__client_size': 6},
    {'evaluation__max_new_tokens': 3},
]


def begin(folder, config=fedavg_adam) -> tuple[Runs, Path]:
    """Runs, and the folder of a complete one."""
    made = Runs(folder, config)
    first = made.folder / 'first'
    made.start(first, **SHORT)
    return made, first


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return begin(tmp_path_factory.mktemp('runs'))


@pytest.fixture
def rounds(monkeypatch) -> list[int]:
    """The rounds that are computed."""
    done = []
    original = train.train_round

    def counted(experiment, run, clients, state, cohort, began):
        done.append(int(state.server.round))
        return original(experiment, run, clients, state, cohort, began)

    monkeypatch.setattr(train, 'train_round', counted)
    return done


def start(made: Runs, path, others, stop: int = 0, **changes) -> None:
    """Starts a run that may take stage 1 over."""
    config, cache = made.config(**SHORT | changes), made.folder / 'cache'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, 'write', lambda *_: None)
        with contextlib.suppress(preemption.Preempted):
            run_lib.execute(
                config, path, cache, made.loaded, StopAfter(stop), None, others
            )


@pytest.mark.parametrize('changes', OTHERS, ids=str)
def test_a_stage_that_is_shared_is_that_of_a_run_alone(
    changes, tiny, rounds, tmp_path
):
    made, first = tiny
    start(made, tmp_path / 'shared', [first], **changes)
    assert rounds == []
    assert info(tmp_path / 'shared')['stage_1_from'] == 'first'
    start(made, tmp_path / 'alone', [], **changes)
    assert rounds == [0, 1, 2]
    assert 'stage_1_from' not in info(tmp_path / 'alone')
    assert results(tmp_path / 'shared') == results(tmp_path / 'alone')


def test_what_clients_keep_is_taken_over_too(rounds, tmp_path):
    made, first = begin(tmp_path, ditto)
    rounds.clear()
    start(made, tmp_path / 'shared', [first], personalization__l2=0.5)
    assert rounds == []
    start(made, tmp_path / 'alone', [], personalization__l2=0.5)
    assert results(tmp_path / 'shared') == results(tmp_path / 'alone')
    # And what a client keeps is scored in both.
    assert 'kept_by_client' in (tmp_path / 'shared/tradeoff.csv').read_text()


@pytest.mark.parametrize('changes', TRAINED_OTHERWISE, ids=str)
def test_a_run_of_another_stage_1_trains_itself(
    changes, tiny, rounds, tmp_path
):
    made, first = tiny
    start(made, tmp_path / 'run', [first], stop=1, **changes)
    assert rounds == [0]


@pytest.mark.parametrize('key', ROUNDING_KEYS)
def test_nor_is_one_the_same_that_is_computed_in_another_way(key):
    """Its bits differ; where its files are, and what it logs, changes none."""
    section, _, name = key.partition('.')
    one, other = ({section: {name: value}} for value in (0, 1))
    assert shared_stage.settings(one) != shared_stage.settings(other)
    for same in set(FREE_KEYS) - {*ROUNDING_KEYS}:
        section, _, name = same.partition('.')
        one, other = ({section: {name: value}} for value in (0, 1))
        assert shared_stage.settings(one) == shared_stage.settings(other)


def test_of_a_run_that_was_computed_in_two_ways_nothing_is_taken(
    tiny, rounds, tmp_path
):
    """Its first rounds are not those of a run that is computed in one."""
    made, _ = tiny
    begun = tmp_path / 'begun'
    start(made, begun, [], stop=1)
    assert info(begun)['stage_1'] and info(begun)['computed_by'] != 'several'
    start(made, begun, [], model__remat=True)
    assert (info(begun)['stage_1'], info(begun)['computed_by']) == (
        '', 'several'
    )  # fmt: skip
    start(made, tmp_path / 'run', [begun], stop=1, model__remat=True)
    start(made, begun, [])  # it stays so
    start(made, tmp_path / 'other', [begun], stop=1)
    assert rounds == [0, 1, 2, 0, 0]


def test_of_a_run_that_is_not_through_with_its_rounds_nothing_is_taken(
    tiny, rounds, tmp_path
):
    made, _ = tiny
    start(made, tmp_path / 'begun', [], stop=2)
    start(made, tmp_path / 'run', [tmp_path / 'begun'], stop=1)
    assert rounds == [0, 1, 0]
    # In stage 2 its rounds are complete.
    start(made, tmp_path / 'begun', [], stop=2)
    start(made, tmp_path / 'other', [tmp_path / 'begun'])
    assert rounds == [0, 1, 0, 2]


def test_a_run_that_has_begun_takes_nothing(tiny, rounds, tmp_path):
    made, first = tiny
    start(made, tmp_path / 'run', [], stop=1)
    start(made, tmp_path / 'run', [first])
    assert rounds == [0, 1, 2]


@pytest.mark.parametrize(
    'damage', ['metrics.jsonl', 'checkpoint', 'run.json', 'all']
)
def test_nothing_is_taken_from_a_damaged_run(damage, tiny, rounds, tmp_path):
    made, first = tiny
    other = tmp_path / 'other'
    shutil.copytree(first, other)
    if damage == 'metrics.jsonl':
        text = (other / damage).read_text()
        (other / damage).write_text(text.replace('"round": 1', '"round": 7', 1))
    elif damage == 'run.json':
        (other / damage).write_text('{')
    elif damage == 'all':
        shutil.rmtree(other / 'checkpoints')
    else:
        (latest,) = (other / 'checkpoints' / 'train').glob('3')
        (latest / 'notes.json').write_text('{}')
    start(made, tmp_path / 'run', [other], stop=1)
    assert rounds == [0]


@pytest.mark.parametrize('moment', ['metrics', 'checkpoint'])
def test_killed_while_it_takes_over(moment, tiny, tmp_path, monkeypatch):
    """The next start takes it over anew."""
    made, first = tiny

    class Killed(BaseException):
        pass

    def kill(*args):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == 'metrics':
            patch.setattr(shared_stage, '_copy', kill)
        else:
            patch.setattr(
                shared_stage, '_LOG', types.SimpleNamespace(info=kill)
            )
        with pytest.raises(Killed):
            start(made, tmp_path / 'run', [first])
    start(made, tmp_path / 'run', [first])
    assert results(tmp_path / 'run') == results(first)


def test_points_that_share_stage_1_come_after_one_of_them(tiny):
    made, _ = tiny
    changes = [
        {},
        {'seed': 1},
        {'personalization__l2': 1.0},
        {'personalization__l2': 2.0},
        {'seed': 2},
    ]
    some = [
        points.Point(str(i), {}, made.config(**SHORT | change))
        for i, change in enumerate(changes)
    ]
    assert runs.groups_of(some, 1) == [[0], [1], [2], [3], [4]]
    assert runs.groups_of(some, 2) == [[0], [1, 2], [3, 4]]
    assert runs.groups_of(some, 8) == [[0], [1, 2, 3, 4]]
    assert runs.groups_of(some[:2], 8) == [[0, 1]]


@pytest.mark.parametrize('together', beyond([1], [1, 2]))
def test_a_study_over_stage_2_trains_once(together, tiny, rounds, tmp_path):
    made, _ = tiny
    config = made.config(**SHORT)
    file = tmp_path / 'study.py'
    file.write_text(
        'def points():\n'
        "    yield from ({'personalization.l2': x} for x in (0.0, 0.5, 1.0))\n"
    )
    chosen = points.read(file, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, 'write', lambda *_: None)
        folder, cache = tmp_path / 'all', made.folder / 'cache'
        study = outputs.Study(folder, 'x')
        runs.run_all(chosen, folder, cache, together, study)
    assert rounds == [0, 1, 2]
    # The seconds are those of the run that trained.
    logs = [tmp_path / 'all' / p.name / 'metrics.jsonl' for p in chosen]
    lines = [
        [line for line in log.read_text().splitlines() if '"train"' in line]
        for log in logs
    ]
    assert len(lines[0]) == 3 and lines[0] == lines[1] == lines[2]
