"""Laws of the run folder: one run a folder, whole files, logs cut back."""

import json
import math
import os

import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.experiment import continuing, processes, run_folder
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.files import write_json
from fedprompt_jax.report.records import read_metrics, read_tradeoff

CONFIG = {'rounds': 3, 'seed': 0, 'mesh': {'data': 1}, 'alphas': (0.5, 1)}
IDENTITY = {'tokens': 'abc', 'weights': 'def'}


def opened(path, config=CONFIG, identity=IDENTITY):
    run = RunFolder(path, config, identity)
    run.update_info(fingerprints=identity)
    return run


def content(path):
    return {p.name: p.read_bytes() for p in path.iterdir()}


def row(**changes):
    values = dict.fromkeys(run_folder.TRADEOFF_FIELDS, 1)
    names = {'run': 'r', 'prompt': 'global', 'split': 'local', 'examples': ''}
    return values | names | changes


def test_the_same_run_opens_again(tmp_path):
    opened(tmp_path / 'run').log(stage='train', round=1)
    before = content(tmp_path / 'run')
    again = RunFolder(tmp_path / 'run', CONFIG | {'alphas': [0.5, 1]}, IDENTITY)
    assert content(tmp_path / 'run') == before
    assert again.metrics() == [{'stage': 'train', 'round': 1}]
    assert again.info['fingerprints'] == IDENTITY and not again.finished


def test_another_run_is_refused_with_every_difference(tmp_path):
    opened(tmp_path)
    before = content(tmp_path)
    config = {'rounds': 5, 'seed': 0, 'mesh': {'data': 1}, 'new': 'x'}
    with pytest.raises(ValueError, match='belongs to another run') as error:
        RunFolder(tmp_path, config, IDENTITY | {'weights': 'other'})
    assert str(error.value).split('\n')[1:] == [
        "  config.alphas: [0.5, 1] there, 'absent' now",
        "  config.new: 'absent' there, 'x' now",
        '  config.rounds: 3 there, 5 now',
        "  fingerprints.weights: 'def' there, 'other' now",
        "  (weights: a file of the model's folder changed)",
    ]
    assert content(tmp_path) == before


@pytest.mark.parametrize('key', run_folder.FREE_KEYS)
def test_keys_that_change_no_result_may_differ(key, tmp_path):
    part, name = key.split('.')
    opened(tmp_path, {part: {name: 1}})
    opened(tmp_path, {part: {name: 2}})


# Where things are, how they are computed and cut over devices, what is saved of
# them, and who shows what is logged.
NO_RESULT = {
    'data.path', 'data.metadata', 'model.source', 'mesh.data', 'mesh.model',
    'mesh.fsdp', 'checkpoint.keep', 'checkpoint.every', 'log.tensorboard',
    'log.wandb', 'client_store.memory_gb', 'model.attention', 'model.remat',
    'model.remat_mlp', 'packing.scan_steps',
}  # fmt: skip


def test_no_other_key_of_the_config_may_differ(tmp_path):
    """A folder never has results of two configs."""
    assert set(run_folder.FREE_KEYS) == NO_RESULT
    config = fedavg_adam.get_config().to_dict()
    opened(tmp_path, config)
    for part, value in config.items():
        inner = value if isinstance(value, dict) else {'': value}
        for name in inner:
            key = f'{part}.{name}'.strip('.')
            now = inner | {name: 'other'}
            now = config | {part: now if isinstance(value, dict) else 'other'}
            if key not in NO_RESULT | set(continuing.KEYS):
                (line,) = run_folder.other_config(tmp_path, now)
                assert line.startswith(f'config.{key}: ')


def test_no_fewer_rounds_than_are_done(tmp_path):
    """Ten come after nine, though not as words."""
    config = {
        'rounds': 12,
        'personalization': {'epochs': 12},
        'client': {'schedule': 'constant'},
        'server': {'schedule': 'constant'},
    }
    opened(tmp_path, config)
    for stage, last in (('train', 10), ('personalize', 9)):
        for number in range(8, last + 1):
            (tmp_path / 'checkpoints' / stage / f'{number}').mkdir(parents=True)
    for rounds, told in ((9, ['rounds=9 is less than the 10']), (10, [])):
        found = run_folder.other_config(tmp_path, config | {'rounds': rounds})
        assert len(found) == len(told)
        assert all(t in f for t, f in zip(told, found, strict=True))
    fewer = config | {'personalization': {'epochs': 8}}
    (line,) = run_folder.other_config(tmp_path, fewer)
    assert 'epochs=8 is less than the 9' in line


def test_processes_of_two_runs_are_told_apart(monkeypatch):
    """But for paths and trackers, which may differ from host to host."""
    config = {'seed': 0, 'data': {'path': '/a'}, 'mesh': {'data': 1}}

    def refused(other):
        now = {'config': other, 'fingerprints': {}}
        monkeypatch.setattr(
            processes, 'texts', lambda own: [own, own, json.dumps(now)]
        )
        run_folder.refuse_other_processes(config, {})

    refused(config | {'data': {'path': '/b'}, 'log': {'wandb': 'p'}})
    with pytest.raises(ValueError, match='Process 2 is of another run.*') as e:
        refused(config | {'seed': 1})
    assert 'config.seed: 0 in the first, 1 there' in str(e.value)
    with pytest.raises(ValueError, match=r'config\.mesh\.data: 1 in'):
        refused(config | {'mesh': {'data': 2}})


def test_what_is_said_of_a_run_is_added_and_replaced(tmp_path):
    run = opened(tmp_path)
    run.update_info(a=1, b=1)
    run.update_info(drop=['a'], b=2, c=3)
    known = {'fingerprints': IDENTITY, 'b': 2, 'c': 3}
    assert run.info == known


def test_a_changed_log_of_the_same_size_is_an_error(tmp_path):
    run = opened(tmp_path)
    run.log(round=1)
    notes = run.notes()
    run.log(round=2)
    run.check_logs(notes)  # what came later does not count
    path = tmp_path / 'metrics.jsonl'
    path.write_bytes(path.read_bytes().replace(b'1', b'3'))
    with pytest.raises(ValueError, match='was changed: its first'):
        run.check_logs(notes)


def test_a_complete_run_knows_every_change(tmp_path):
    run = opened(tmp_path)
    run.log(round=1)
    (tmp_path / 'prompts' / 'global').mkdir(parents=True)
    prompt = tmp_path / 'prompts' / 'global' / 'a.safetensors'
    prompt.write_bytes(b'123')
    run.complete()
    assert run.finished
    run.check_complete()
    for path in (tmp_path / 'metrics.jsonl', prompt, tmp_path / 'config.json'):
        before = path.read_bytes()
        path.write_bytes(before.replace(before[1:2], b'~'))
        with pytest.raises(ValueError, match=path.name):
            run.check_complete()
        path.write_bytes(before)
    info = run.info
    write_json(tmp_path / 'run.json', info | {'chosen_round': 9})
    with pytest.raises(ValueError, match='run.json was changed'):
        run.check_complete()


def test_another_than_the_first_process_writes_nothing(tmp_path):
    opened(tmp_path)
    before = content(tmp_path)
    run = RunFolder(tmp_path, CONFIG, IDENTITY, writes=False)
    run.log(round=1)
    run.add_scores([row()], [{'prediction': 'a'}])
    run.warn('w')
    run.complete()
    run.accept_changes()
    assert run.notes() == {}
    assert content(tmp_path) == before


def test_logs_without_a_run_are_refused(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text('{}\n')
    with pytest.raises(ValueError, match='logs of some run but no run.json'):
        RunFolder(tmp_path, CONFIG, IDENTITY)


def test_a_first_start_killed_before_run_json_can_be_repeated(tmp_path):
    RunFolder(tmp_path, CONFIG, IDENTITY)
    assert (tmp_path / 'config.json').exists()
    RunFolder(tmp_path, CONFIG | {'rounds': 4}, IDENTITY)
    stored = json.loads((tmp_path / 'config.json').read_text())
    assert stored['rounds'] == 4


def test_logs_are_cut_back_to_their_sizes(tmp_path):
    run = opened(tmp_path)
    run.log(round=1)
    run.add_scores([row(client=1)], [{'prediction': 'ä'}])
    sizes, before = run.log_sizes(), content(tmp_path)
    run.log(round=2)
    run.add_scores([row(client=2)], [{'prediction': 'b'}])
    assert content(tmp_path) != before
    run.cut_logs(sizes)
    assert content(tmp_path) == before
    run.log(round=2)
    run.add_scores([row(client=2)], [{'prediction': 'b'}])
    assert [m['round'] for m in run.metrics()] == [1, 2]
    assert [r['client'] for r in read_tradeoff(tmp_path)] == [1, 2]


def test_logs_cut_to_nothing_get_their_header_again(tmp_path):
    run = opened(tmp_path)
    none = run.log_sizes()
    assert set(none.values()) == {0}
    run.add_scores([row(client=1)], [])
    run.cut_logs(none)
    run.add_scores([row(client=2)], [])
    assert [r['client'] for r in read_tradeoff(tmp_path)] == [2]


def test_a_log_that_somebody_shortened_is_an_error(tmp_path):
    run = opened(tmp_path)
    run.log(round=1)
    sizes = run.log_sizes()
    os.truncate(tmp_path / 'metrics.jsonl', 3)
    with pytest.raises(ValueError, match='has 3 bytes, but the checkpoint'):
        run.cut_logs(sizes)


def test_a_json_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / 'run.json'
    write_json(path, {'a': 1})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {'a': 2})
    assert json.loads(path.read_text()) == {'a': 1}
    with pytest.raises(TypeError):
        write_json(path, {'a': object()})
    assert json.loads(path.read_text()) == {'a': 1}


def test_what_is_not_a_number_is_null_and_reads_as_nan(tmp_path):
    run = opened(tmp_path)
    run.log(
        stage='train',
        loss=math.nan,
        norm=np.float32('inf'),
        deep={'x': [np.nan, np.int64(2)], 'y': (np.float64(0.5),)},
    )
    text = (tmp_path / 'metrics.jsonl').read_text()
    (line,) = (json.loads(x, parse_constant=pytest.fail) for x in [text])
    assert line == {
        'stage': 'train',
        'loss': None,
        'norm': None,
        'deep': {'x': [None, 2], 'y': [0.5]},
    }
    (read,) = read_metrics(tmp_path)
    assert math.isnan(read['loss']) and math.isnan(read['norm'])


def test_scores_read_back_as_they_were(tmp_path):
    run = opened(tmp_path)
    rows = [row(loss=0.1 + 0.2, rouge_l=math.nan, alpha=1 / 3)]
    run.add_scores(rows, [])
    (read,) = read_tradeoff(tmp_path)
    assert read['loss'] == 0.1 + 0.2 and read['alpha'] == 1 / 3
    assert math.isnan(read['rouge_l'])


def test_a_warning_is_kept_once(tmp_path):
    run = opened(tmp_path)
    for text in ('a', 'b', 'a'):
        run.warn(text)
    assert run.info['warnings'] == ['a', 'b']


def test_a_folder_in_use_is_refused_until_it_is_not(tmp_path):
    first = RunFolder(tmp_path, {}, {})
    with pytest.raises(ValueError, match='Another process is using'):
        RunFolder(tmp_path, {}, {})
    del first
    RunFolder(tmp_path, {}, {})
