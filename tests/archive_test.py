"""An archive of runs gives the same figures and tables, and has no model."""

import json
from pathlib import Path
import shutil

import pytest

from fedprompt_jax.report import genie, records
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import archive, table
from fedprompt_jax.study.points import Point
from fedprompt_jax.study.runs import folders_of
from tests.tiny_run import Runs


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    runs = Runs(tmp_path_factory.mktemp('runs'))
    path = runs.folder / 'whole'
    runs.start(path, rounds=1, personalization__epochs=2)
    return path, Point('whole', {}, runs.config(
        rounds=1, personalization__epochs=2
    ))  # fmt: skip


@pytest.fixture(scope='module')
def copy(whole, tmp_path_factory) -> Path:
    (path,) = archive.archive([whole[0]], tmp_path_factory.mktemp('archive'))
    return path


def test_it_is_complete_and_says_what_the_run_says(whole, copy):
    path, point = whole
    assert table.status(point, copy) == table.COMPLETE
    one, other = Run(path), Run(copy)
    # NaN is not equal to itself.
    assert repr(one.rows) == repr(other.rows)
    assert repr(one.metrics) == repr(other.metrics)
    paths = 'data.path', 'model.source'
    assert one.config['seed'] == other.config['seed']
    for key in paths:
        section, name = key.split('.')
        there, here = one.config[section].pop(name), other.config[section]
        assert here.pop(name) == Path(there).name
    assert one.config == other.config
    assert one.selection == other.selection


def test_choices_by_example_are_the_same(whole, copy):
    found = genie.rows(whole[0], Run(whole[0]).rows, 'rouge_l')
    assert found
    assert repr(genie.rows(copy, Run(copy).rows, 'rouge_l')) == repr(found)


def test_it_has_no_model_no_text_and_nothing_of_the_machine(whole, copy):
    names = {path.name for path in copy.rglob('*')}
    assert not names & {'checkpoints', 'prompts', 'figures'}
    texts = [
        line[key]
        for line in records.read_predictions(whole[0])
        for key in ('input', 'prediction')
        if len(line[key]) > 20
    ]
    left = (copy / records.PREDICTIONS).read_text()
    assert texts and not any(text in left for text in texts)
    for line in records.read_predictions(copy):
        assert not line.keys() & {'prediction', 'references', 'choices'}
    assert 'command' not in records.read_json(copy, records.INFO)


def test_another_study_finds_it_by_its_config(whole, copy, tmp_path):
    """Its config is that of the run, wherever the data and the model lie."""
    _, point = whole
    config = point.config.copy_and_resolve_references()
    config.data.path = '/elsewhere/' + Path(config.data.path).name
    assert archive.is_archived(copy) and not archive.is_archived(whole[0])
    other = Point('other', {}, config)
    assert folders_of([other], copy.parent) == [copy]
    # A run that is not archived may have other data of that name.
    shutil.copytree(copy, tmp_path / 'run')
    info = records.read_json(copy, records.INFO)
    del info[archive.ARCHIVED]
    (tmp_path / 'run' / records.INFO).write_text(json.dumps(info))
    assert folders_of([other], tmp_path) == [tmp_path / 'other']
    config.seed += 1
    other = Point('other', {}, config)
    assert folders_of([other], copy.parent) == [copy.parent / 'other']


def test_a_name_is_no_folder(whole):
    """The owner of a model on the hub is a part of its name."""
    config = whole[1].config.to_dict()
    config['model'] |= {'source': 'owner/model'}
    config['data'].pop('metadata')
    found = archive.without_folders(config)
    assert found['model']['source'] == 'owner/model'
    assert found['data']['path'] == Path(config['data']['path']).name


def test_a_changed_file_is_noticed(whole, copy):
    _, point = whole
    path = copy / records.TRADEOFF
    before = path.read_bytes()
    path.write_bytes(before.replace(b'personalized', b'personalised', 1))
    assert table.status(point, copy).startswith('damaged')
    path.write_bytes(before)


def test_runs_are_not_archived_over_themselves(whole):
    with pytest.raises(ValueError, match='is where the runs are'):
        archive.archive([whole[0]], whole[0].parent)
    assert (whole[0] / 'checkpoints').is_dir()


def test_a_folder_that_is_no_archive_is_not_lost(whole, tmp_path):
    other = tmp_path / whole[0].name
    (other / 'checkpoints').mkdir(parents=True)
    with pytest.raises(ValueError, match='is no archived run and would be'):
        archive.archive([whole[0]], tmp_path)
    assert (other / 'checkpoints').is_dir()


def test_an_archive_can_be_made_again(whole, copy):
    (again,) = archive.archive([whole[0]], copy.parent)
    assert table.status(whole[1], again) == table.COMPLETE
