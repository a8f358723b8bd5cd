"""A run that goes on to more rounds ends as one of as many from the start."""

import json
import os
import shutil

import pytest

from configs import fedavg_adam
from fedprompt_jax.experiment import continuing, resume, run_folder
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.study import table
from fedprompt_jax.study.points import Point
from tests.tiny_run import Runs, info, results

MORE = {'rounds': 5}
LONGER = MORE | {'personalization__epochs': 3}
OTHER_AVERAGES = LONGER | {'personalization__alphas': (0.25, 0.75)}


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='module')
def whole(runs):
    """The results of an uninterrupted run, by its changes of the config."""
    known = {}

    def get(**changes):
        key = repr(changes)
        if key not in known:
            path = runs.folder / f'whole-{len(known)}'
            runs.start(path, **changes)
            known[key] = path
        return known[key]

    return get


def copied(whole, path, **changes):
    shutil.copytree(whole(**changes), path)
    return path


def test_a_finished_run_goes_on_and_on(runs, whole, tmp_path, caplog):
    path = copied(whole, tmp_path / 'run')
    before = results(path)
    for changes in (MORE, LONGER, OTHER_AVERAGES):
        caplog.clear()
        with caplog.at_level('INFO'):
            assert runs.start(path, **changes)
        assert f'{path} was a run of ' in caplog.text
        assert results(path) == results(whole(**changes))
        assert results(path) != before
        assert not runs.start(path, **changes)  # it is complete
    entries = info(path)['continued']
    assert [list(e['changed']) for e in entries] == [
        ['rounds'], ['personalization.epochs'], ['personalization.alphas']
    ]  # fmt: skip
    assert entries[0]['changed'] == {'rounds': [2, 5]}
    stored = json.loads((path / 'config.json').read_text())
    assert stored['personalization']['epochs'] == 3


@pytest.mark.parametrize('stop', [2, 4])
def test_a_stopped_run_goes_on_to_more(runs, whole, tmp_path, stop):
    """In stage 1, at its end, before stage 2's epoch, and after it."""
    runs.start(tmp_path, stop)
    assert not info(tmp_path).get('complete')
    runs.start(tmp_path, **LONGER)
    assert results(tmp_path) == results(whole(**LONGER))


def test_it_may_also_do_less_than_was_asked(runs, whole, tmp_path):
    runs.start(tmp_path, 1, **LONGER)
    runs.start(tmp_path)
    assert results(tmp_path) == results(whole())


@pytest.mark.parametrize(
    'changes',
    [
        {'evaluation__max_new_tokens': 2, 'validation__every': 0},
        {'personalization__every': 1},
    ],
)
def test_other_scores_are_those_of_an_uninterrupted_run(
    runs, whole, tmp_path, changes
):
    before = {k: v for k, v in changes.items() if k == 'validation__every'}
    path = copied(whole, tmp_path / 'run', **before)
    runs.start(path, **changes)
    assert results(path) == results(whole(**changes))


def test_another_evaluation_keeps_the_prompt_that_was_chosen(
    runs, whole, tmp_path
):
    path = copied(whole, tmp_path / 'run', **MORE)
    chosen = info(path)['chosen_round']
    name = 'prompts/global/adapter_model.safetensors'
    before = (path / name).read_bytes()
    runs.start(path, **MORE, evaluation__max_new_tokens=1)
    assert info(path)['chosen_round'] == info(path)['kept_choice'] == chosen
    assert (path / name).read_bytes() == before
    (warning,) = [w for w in info(path)['warnings'] if 'max_new_tokens' in w]
    assert 'rounds up to 3' in warning


@pytest.mark.parametrize(
    ('before', 'changes', 'message'),
    [
        ({}, {'rounds': 1}, 'rounds=1 is less than the 2 that are done there'),
        ({}, {'personalization__epochs': 0}, 'epochs=0 is less than the 1'),
        ({}, {'rounds': 3, 'batch_size': 3}, 'config.batch_size: 2 there'),
        ({}, {'name': 'other'}, "config.name: 'fedavg_adam' there"),
    ],
)
def test_what_cannot_go_on_is_refused(
    runs, whole, tmp_path, before, changes, message
):
    path = copied(whole, tmp_path / 'run', **before)
    files = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
    with pytest.raises(ValueError, match=message):
        runs.start(path, **changes)
    after = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
    assert after == files


def test_a_run_without_checkpoints_cannot_go_on(runs, whole, tmp_path):
    path = copied(whole, tmp_path / 'run')
    shutil.rmtree(path / 'checkpoints')
    assert not runs.start(path)
    with pytest.raises(ValueError, match='no checkpoint from which it can'):
        runs.start(path, rounds=3)


class Killed(BaseException):
    pass


def kill_at(monkeypatch, number: int) -> None:
    """Makes the n-th change of the file system the last one."""
    left = [number]

    def ending(change):
        def changed(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return change(*args, **kwargs)

        return changed

    for owner, name in (
        (run_folder, 'write_json'), (os, 'truncate'), (shutil, 'rmtree')
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, ending(getattr(owner, name)))


def prepare(runs, path, **changes) -> None:
    config = runs.config(**changes).to_dict()
    resume.prepare(RunFolder(path, config, info(path)['fingerprints']))


def state(path):
    files = (p for p in path.rglob('*') if p.is_file() and p.suffix != '.new')
    content = {str(p.relative_to(path)): p.read_bytes() for p in files}
    kept = info(path)
    for entry in kept.get('continued', []):
        del entry['when']
    return content | {'run.json': kept}


@pytest.mark.parametrize(
    'changes', [MORE, {'personalization__epochs': 2}], ids=['rounds', 'epochs']
)
def test_the_change_can_be_killed_at_any_moment(
    runs, whole, tmp_path, monkeypatch, changes
):
    """The next start finds the folder as if nothing had happened."""
    expected = copied(whole, tmp_path / 'expected')
    prepare(runs, expected, **changes)
    number = 0
    while True:
        path = copied(whole, tmp_path / f'{number}')
        with monkeypatch.context() as patch:
            kill_at(patch, number)
            try:
                prepare(runs, path, **changes)
                break
            except Killed:
                pass
        # The old run is intact, but for what is computed again.
        other = tmp_path / f'{number}-back'
        shutil.copytree(path, other)
        prepare(runs, other)
        number += 1
        prepare(runs, path, **changes)
        assert state(path) == state(expected)
    assert number > 4


def test_every_key_of_the_evaluation_may_change():
    config = fedavg_adam.get_config()
    # Those of stage 1 would leave its log half with them and half without.
    of_rounds = {'metric', 'views_every'}
    keys = {f'evaluation.{k}' for k in {*config.evaluation} - of_rounds}
    assert keys <= continuing.KEYS.keys()
    assert not continuing.KEYS.keys() & set(run_folder.FREE_KEYS)


def test_a_study_counts_a_shorter_run_as_not_complete(runs, whole):
    def status(**changes):
        point = Point('p', {}, runs.config(**changes))
        return table.status(point, whole())

    assert status() == table.COMPLETE
    assert 'not complete: was a run of rounds=2' in status(rounds=3)
    assert status(rounds=1).startswith(table.OTHER)
    assert status(seed=1).startswith(table.OTHER)


def test_a_key_that_is_new_and_off_changes_nothing(runs, whole, tmp_path):
    """The config of an older version does not have it."""
    path = copied(whole, tmp_path / 'run')
    config = json.loads((path / 'config.json').read_text())
    assert config['evaluation'].pop('few_shot') == 0
    (path / 'config.json').write_text(json.dumps(config))
    now = runs.config().to_dict()
    assert not run_folder.other_config(path, now)
    assert not run_folder.continuation(path, now)
    now['evaluation']['few_shot'] = 2
    assert 'few_shot' in run_folder.continuation(path, now)


def test_a_run_of_before_routers_and_measures_is_not_another(
    runs, whole, tmp_path
):
    """Nobody reads their options, which are not off."""
    path = copied(whole, tmp_path / 'run')
    config = json.loads((path / 'config.json').read_text())
    for key in ('measures', 'heterogeneity', 'landscape'):
        del config[key]
    del config['personalization']['router']
    (path / 'config.json').write_text(json.dumps(config))
    now = runs.config().to_dict()
    assert not run_folder.other_config(path, now)
    assert not run_folder.continuation(path, now)
    now['personalization']['method'] = 'router'
    assert run_folder.other_config(path, now)
