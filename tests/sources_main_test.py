"""Whole runs on a user's clients, on label words and on options."""

import json

import pytest

from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.report.records import read_tradeoff
from tests import tiny_sources
from tests.exhaustive import beyond, exhaustive
from tests.main_test import Project, metrics
from tests.tiny_run import Runs

SHORT = {
    'clients_per_round': 3,
    'validation__every': 2,
    'personalization__epochs': 2,
    'personalization__alphas': (),
}
KEYS = (
    'source', 'path', 'columns', 'labels', 'splits', 'template', 'separator',
    'target',
)  # fmt: skip


class Sourced(Project):
    """A project whose data are of another source."""

    def flags(self, config, *more: str) -> list[str]:
        data = {f'data.{k}': config.data[k] for k in KEYS}
        return [*(f'--config.{k}={v}' for k, v in data.items()), *more]


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Sourced:
    return Sourced(tmp_path_factory.mktemp('project'))


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'))


@pytest.fixture(autouse=True)
def quick_and_private(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'hf'))
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')


def predictions(run) -> list[dict]:
    text = (run / 'predictions.jsonl').read_text()
    return [json.loads(line) for line in text.splitlines()]


def finish(runs, name, config, **changes):
    """A whole run; its folder, once a second start has printed its table."""
    changes |= SHORT | {f'data__{key}': config.data[key] for key in KEYS}
    path = runs.folder / name
    runs.start(path, **changes)
    run_lib.main(runs.config(**changes), path, runs.folder / 'cache')
    return path


def test_a_user_s_own_clients(runs):
    config = tiny_sources.jsonl(runs.folder / 'jsonl', clients=9)
    run = finish(runs, 'jsonl run', config, data__partition='client')
    info = json.loads((run / 'run.json').read_text())
    for line in (
        'train: 5 clients of 6 ± 0.0 instances',
        'validation: 2 clients',
        'test: 2 clients',
    ):
        assert line in info['data']
    path = config.data.path
    with open(path) as file:
        whose = [json.loads(line)['client'] for line in file]
    names = {
        whose[int(p['id'].split(':')[1]) - 1]
        for p in predictions(run)
        if p['prompt'] == 'global'
    }
    assert len(names) == 2  # the test clients' examples and no others
    # The clients' names stand beside their numbers, everywhere.
    rows = read_tradeoff(run)
    by_id = {r['client']: r['client_name'] for r in rows}
    assert {*by_id.values()} == names
    assert info['clients']['held_out'] == {str(i): n for i, n in by_id.items()}
    assert len(info['clients']['validation']) == 2
    for p in predictions(run):
        assert p['client_name'] == by_id.get(p['client'])
        shared = p['prompt'] in ('bare', 'initial', 'global')
        assert (p['client'] is None) == shared
    folders = {f'client-{i}-{n.replace(" ", "_")}' for i, n in by_id.items()}
    folders |= {'initial', 'global'}
    assert {f.name for f in (run / 'prompts').iterdir()} == folders
    assert not names & {*info['clients']['validation'].values()}


@pytest.mark.parametrize(
    'source',
    beyond(['multiple_choice'], ['classification', 'multiple_choice']),
)
def test_answers_that_are_chosen(source, runs, capsys):
    config = getattr(tiny_sources, source)(runs.folder / source)
    run = finish(
        runs,
        f'{source} run',
        config,
        data__partition='dirichlet',
        data__client_size=8,
        evaluation__choices='character',
    )
    found = predictions(run)
    assert {p['prompt'] for p in found} >= {'bare', 'global', 'personalized'}
    for p in found:
        assert p['prediction'] in p['choices']
        assert p['exact_match'] == (p['prediction'] == p['references'][0])
        if p['prompt'] in ('copy', 'majority'):
            assert set(p['choice_losses']) == {None}
            continue
        rates = [
            loss / len(text)
            for loss, text in zip(p['choice_losses'], p['choices'], strict=True)
        ]
        assert rates.index(min(rates)) == p['choices'].index(p['prediction'])
    losses = [m['loss'] for m in metrics(run) if m['stage'] == 'train']
    assert losses[-1] < losses[0]
    info = json.loads((run / 'run.json').read_text())
    assert info['selection'] == 'exact_match'
    validated = [m for m in metrics(run) if m['stage'] == 'validation'][1:]
    best = max(validated, key=lambda m: (m['exact_match'], -m['loss']))
    assert info['chosen_round'] == best['round']
    assert 'Paired gain in accuracy' in capsys.readouterr().out


@exhaustive
def test_answers_to_open_questions(runs):
    """Of equal shards; an answer is right where it begins with a reference."""
    config = tiny_sources.open_questions(runs.folder / 'open')
    run = finish(
        runs,
        'open run',
        config,
        data__partition='iid',
        data__num_clients=8,
        validation__clients=2,
        personalization__clients=2,
        personalization__global_examples=6,
        personalization__eval_examples=3,
    )
    info = json.loads((run / 'run.json').read_text())
    assert 'train: 4 clients of 6 ± 0.0 instances' in info['data']
    assert info['selection'] == 'rouge_l'
    found = predictions(run)
    assert len(found) > 10
    for p in found:
        right = p['prediction'] in p['references']
        if p['prompt'] in ('copy', 'majority'):
            assert p['exact_match'] == right
        elif p['exact_match']:
            assert any(p['prediction'].startswith(r) for r in p['references'])
        else:
            assert not right
    said = info['scores']['exact_match']
    assert 'open questions: the greedy answer begins with a reference' in said


def test_answers_in_other_scripts(runs):
    """Label words that ROUGE's tokenizer does not see at all."""
    config = tiny_sources.classification(runs.folder / 'scripts')
    config.data.labels = ('差', '好')
    run = finish(
        runs,
        'scripts run',
        config,
        data__partition='low',
        data__client_size=8,
    )
    for p in predictions(run):
        assert p['rouge_l'] == (p['prediction'] == p['references'][0])
    info = json.loads((run / 'run.json').read_text())
    counts = info['scores']['rouge_l_units']
    (warning,) = [w for w in info['warnings'] if 'over characters' in w]
    assert set(counts) == {'characters'}
    assert f'{counts["characters"]} of {counts["characters"]}' in warning


def test_faults_of_a_source_come_with_all_others(project):
    config = tiny_sources.classification(project.folder / 'faulty')
    config.data.labels = ()
    flags = project.flags(
        config,
        '--config.data.splits=random',
        '--config.data.partition=client',
        '--config.data.target=so',
        '--config.evaluation.choices=word',
        '--config.batch_size=0',
    )
    done = project.run('faulty run', *flags)
    assert done.returncode != 0
    for text in (
        'config.batch_size=0 must be',
        'config.data.labels=() must be a word for each class',
        "config.data.splits='random' splits by task type",
        "config.data.partition='client' needs config.data.splits='clients'",
        "config.data.partition='client' needs a source whose",
        "config.data.target='so' must contain {output}",
        "config.evaluation.choices='word' must be one of 'sum'",
    ):
        assert text in done.stderr, done.stderr
    assert 'Traceback' not in done.stderr


def test_a_wrong_column_stops_a_run_before_its_folder(project):
    config = tiny_sources.classification(project.folder / 'wrong')
    config.data.columns = ()
    done = project.run('wrong run', *project.flags(config))
    assert done.returncode != 0
    assert "column 'text' is missing; the columns there are:" in done.stderr
    assert 'sentence, label, idx' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (project.folder / 'wrong run').exists()
