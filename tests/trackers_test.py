"""TensorBoard and W&B show every number of metrics.jsonl once."""

from collections import Counter
import importlib.machinery
import importlib.util
import json
import math
import struct
import types
from unittest import mock
from urllib.parse import urlsplit

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from wandb.proto.wandb_internal_pb2 import Record

from configs import fedavg_adam
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import run_folder, scalars, trackers, train
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.experiment.trackers import tensorboard, wandb
from fedprompt_jax.report import records, summary
from tests.main_test import metrics
from tests.tiny_run import Runs, info, results

BOTH = {'log__tensorboard': True, 'log__wandb': 'tiny'}


class Killed(BaseException):
    pass


def events(path):
    """(name, step, value) of RUN/tensorboard, as often as it is there."""
    for file in (path / 'tensorboard').iterdir():
        data = file.read_bytes()
        while data:  # length, its checksum, an event, its checksum
            end = 12 + struct.unpack('<Q', data[:8])[0]
            event = Event.FromString(data[12:end])
            for value in event.summary.value:
                yield value.tag, event.step, np.float32(value.simple_value)
            data = data[end + 4 :]


def records_of_wandb(path):
    """What W&B wrote offline: parts of records, in blocks of 32 KiB."""
    (folder,) = (path / 'wandb').glob('offline-run-*')
    (file,) = folder.glob('*.wandb')
    data, at, whole = file.read_bytes(), 7, b''
    while at + 7 <= len(data):
        _, size, kind = struct.unpack('<IHB', data[at : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(whole)
            whole = b''


def steps_of_wandb(path):
    """(step, numbers by name) in W&B's order."""
    for record in records_of_wandb(path):
        items = {
            item.key or '/'.join(item.nested_key): json.loads(item.value_json)
            for item in record.history.item
        }
        if items:
            numbers = {k: v for k, v in items.items() if k[0] != '_'}
            yield items['_step'], numbers


def expected(path):
    """(line's number, step, numbers by name) of RUN/metrics.jsonl."""
    for number, line in enumerate(metrics(path), 1):
        axis = 'epoch' if 'epoch' in line else 'round'
        place, step = line.pop('stage'), {axis: line.pop(axis)}
        if place == 'score':
            place += f'/{line.pop("prompt")}'
            alpha = line.pop('alpha')
            place += f'_{alpha}' if place == 'score/averaged' else ''
        values = {f'{place}/{k}': v for k, v in line.items() if v is not None}
        yield number, step, values


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='module')
def whole(runs):
    """An uninterrupted run without trackers."""
    runs.start(runs.folder / 'whole')
    return runs.folder / 'whole'


def shown(path):
    steps = [*steps_of_wandb(path)]
    return Counter(events(path)), steps, [*expected(path)], info(path)['wandb']


@pytest.fixture(scope='module')
def tracked(runs):
    """A run with both, killed between a round and its checkpoint; resumed.

    What was shown at both moments, what metrics.jsonl had, and W&B's name.
    """
    path = runs.folder / 'tracked'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('NETRC', str(runs.folder / 'none'))
        for key in ('WANDB_API_KEY', 'WANDB_MODE'):
            patch.delenv(key, raising=False)
        saves = [train.save]  # and no more

        def save(*args, **kwargs):
            if not saves:
                raise Killed
            saves.pop()(*args, **kwargs)

        with patch.context() as inner:
            inner.setattr(train, 'save', save)
            with pytest.raises(Killed):
                runs.start(path, **BOTH)
        killed = shown(path)
        runs.start(path, **BOTH)
    return path, killed, shown(path)


@pytest.mark.parametrize('moment', [1, 2], ids=['killed', 'resumed'])
def test_tensorboard_shows_every_point_once(tracked, moment):
    points, _, lines, _ = tracked[moment]
    assert points == Counter(
        (name, *step.values(), np.float32(value))
        for _, step, values in lines
        for name, value in values.items()
    )
    assert {'train/loss', 'train/seconds'} <= {name for name, *_ in points}
    # Killed after the initial prompt's validation and the first round.
    assert len(lines) == (2 if moment == 1 else len(metrics(tracked[0])))


@pytest.mark.parametrize('moment', [1, 2], ids=['killed', 'resumed'])
def test_wandb_shows_every_line_once(tracked, moment):
    _, steps, lines, _ = tracked[moment]
    assert steps == [(number, values | step) for number, step, values in lines]


def test_wandb_s_run_is_the_same_after_a_restart_and_has_the_config(tracked):
    path, killed, resumed = tracked
    assert killed[-1] == resumed[-1]
    (run,) = (x.run for x in records_of_wandb(path) if x.run.run_id)
    assert (run.run_id, run.project) == (resumed[-1], 'tiny')
    config = {x.key: json.loads(x.value_json) for x in run.config.update}
    stored = json.loads((path / 'config.json').read_text())
    assert {k: config[k] for k in stored} == stored


def test_trackers_change_no_result(tracked, whole):
    assert results(tracked[0]) == results(whole)
    warnings = [info(path).get('warnings') for path in (tracked[0], whole)]
    assert warnings[0] == warnings[1]


def test_means_of_scores_are_those_of_the_final_table(tracked):
    lines = {
        (x['prompt'], x['epoch'], x['alpha']): x
        for x in metrics(tracked[0])
        if x['stage'] == 'score'
    }
    rows = summary.table(records.read_tradeoff(tracked[0]))
    assert len(rows) == 7
    for row in rows:
        line = lines[row['prompt'], row['epoch'], row['alpha']]
        for split in records.SPLITS:
            for name, mean in row[split].items():
                value = line[f'{split}_{name}']
                if value is None:  # the loss of an anchor without a model
                    assert math.isnan(mean.mean) and name == 'loss'
                else:
                    assert value == mean.mean


def opened(path, **kwargs):
    run = RunFolder(path, {}, {'weights': ''}, **kwargs)
    run.update_info(fingerprints={'weights': ''})
    return run


def config_of(**log):
    config = fedavg_adam.get_config()
    config.log.update(log)
    return config


class Recorder:
    """Keeps what it is given; raises when it is told to."""

    def __init__(self, wrong=''):
        self.wrong, self.lines, self.closed = wrong, [], []

    def open(self, run, value):
        self.check('open')
        return self

    def check(self, method):
        if self.wrong == method:
            raise OSError('the disk is full')

    def add(self, number, line):
        self.lines.append((number, line['round']))
        self.check(f'add {number}')

    def close(self, succeeded):
        self.closed.append(succeeded)
        self.check('close')


def followed(run, monkeypatch, first, second, rounds=(1, 2)):
    monkeypatch.setattr(tensorboard, 'open_tracker', first.open)
    monkeypatch.setattr(wandb, 'open_tracker', second.open)
    with trackers.following(run, config_of(tensorboard=True, wandb='p')):
        for number in rounds:
            run.log(stage='train', round=number)


@pytest.mark.parametrize('wrong', ['open', 'add 1', 'add 3', 'close'])
def test_a_tracker_that_fails_does_not_end_the_run(
    tmp_path, monkeypatch, caplog, wrong
):
    run, bad, good = opened(tmp_path), Recorder(wrong), Recorder()
    run.log(stage='train', round=0)
    followed(run, monkeypatch, bad, good)
    assert good.lines == [(1, 0), (2, 1), (3, 2)] and good.closed == [True]
    seen = {'open': 0, 'add 1': 1}.get(wrong, 3)
    assert bad.lines == good.lines[:seen]
    assert bad.closed == ([True] if wrong == 'close' else [])
    (warning,) = info(tmp_path)['warnings']
    assert warning.startswith('config.log.tensorboard: OSError: the disk is')
    assert caplog.text.count('the disk is full') == 1
    run.log(stage='train', round=3)  # it is over
    assert len(good.lines) == 3


def test_a_tracker_is_closed_where_a_run_stops(tmp_path, monkeypatch):
    run, one, two = opened(tmp_path), Recorder(), Recorder()
    with pytest.raises(TypeError):
        followed(run, monkeypatch, one, two, rounds=None)
    assert one.closed == two.closed == [False]


def test_the_first_process_alone_has_trackers(tmp_path, monkeypatch):
    run, one, two = opened(tmp_path, writes=False), Recorder(), Recorder()
    followed(run, monkeypatch, one, two)
    assert one.lines == two.lines == one.closed == []


def test_what_is_not_finite_is_left_out():
    line = {'stage': 'validation', 'round': 1, 'loss': 1, 'rouge_l_se': None}
    line |= {'x': float('nan'), 'y': float('inf')}
    assert scalars.scalars(line) == {'validation/loss': 1.0}


def test_wandb_s_server_is_not_given_again_what_it_has():
    logged = mock.Mock(starting_step=3)
    tracker = wandb.WeightsAndBiases(logged)
    for number in (2, 3, 4):
        tracker.add(number, {'stage': 'train', 'round': number, 'loss': 1.5})
    assert [x.kwargs['step'] for x in logged.log.call_args_list] == [3, 4]


def test_a_run_with_a_changed_config_is_another_one_of_wandb(tmp_path):
    run = opened(tmp_path)
    first = wandb._name(run)
    assert wandb._name(run) == first
    run.update_info(continued=[{'changed': {'rounds': [2, 4]}}])
    assert wandb._name(run) == f'{first}-1'


def test_wandb_is_online_where_there_are_a_login_and_a_network(
    tmp_path, monkeypatch
):
    url = 'http://127.0.0.1:9'  # where nobody answers
    monkeypatch.setattr(wandb.urllib.request, 'getproxies', dict)
    assert not wandb._reaches(urlsplit(url))
    settings = types.SimpleNamespace(base_url=url)
    setup = types.SimpleNamespace(settings=settings)
    monkeypatch.setattr('wandb.setup', lambda: setup)
    monkeypatch.delenv('WANDB_API_KEY', raising=False)
    keys = tmp_path / 'netrc'
    monkeypatch.setenv('NETRC', str(keys))
    monkeypatch.setattr(wandb, '_reaches', lambda server: True)
    assert wandb._mode() == 'offline'
    keys.write_text('machine 127.0.0.1:9 login user password secret\n')
    assert wandb._mode() == 'online'
    keys.unlink()
    monkeypatch.setenv('WANDB_API_KEY', 'secret')
    assert wandb._mode() == 'online'
    monkeypatch.setattr(wandb, '_reaches', lambda server: False)
    assert wandb._mode() == 'offline'


@pytest.mark.parametrize(
    'spec', [None, importlib.machinery.ModuleSpec('wandb', None)]
)
def test_what_is_not_installed_is_a_sentence(monkeypatch, spec):
    """Neither is a folder of its name, as W&B leaves one."""
    config = config_of(tensorboard=True, wandb='p')
    config_lib.check(config)
    find = importlib.util.find_spec
    absent = {module.PACKAGE: spec for module in (tensorboard, wandb)}
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name: absent[name] if name in absent else find(name),
    )
    with pytest.raises(ValueError) as error:
        config_lib.check(config)
    assert str(error.value).split('\n  - ')[1:] == [
        'config.log.tensorboard=True needs tensorboardX, which is not '
        "installed; pip install 'fedprompt_jax[tensorboard]'.",
        "config.log.wandb='p' needs wandb, which is not installed; pip "
        "install 'fedprompt_jax[wandb]'.",
    ]
    config_lib.check(config, files=False)  # it may run elsewhere
    config_lib.check(config_of())


def test_other_faults_are_sentences_too():
    (line,) = trackers.faults(config_of(wandb='team/project'))
    assert line.startswith("config.log.wandb='team/project' must be the name")
    config = fedavg_adam.get_config()
    config.log.mlflow = True
    (line,) = trackers.faults(config)
    assert "no tracker; there are ['tensorboard', 'wandb']" in line


def test_a_folder_without_the_section_resumes(tmp_path):
    now = fedavg_adam.get_config().to_dict()
    before = {k: v for k, v in now.items() if k != 'log'}
    (tmp_path / 'config.json').write_text(json.dumps(before))
    assert not run_folder.other_config(tmp_path, now)
    now['log'] = {'tensorboard': True, 'wandb': 'p'}
    assert not run_folder.other_config(tmp_path, now)
