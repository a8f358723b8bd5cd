"""Laws of the genie: of two answers the better one, example by example."""

import json
import math

import pytest

from fedprompt_jax.report import genie, page, summary
from fedprompt_jax.report.run import Run
from tests.tiny_run import Runs

SHORT = {'personalization__epochs': 3, 'personalization__every': 2}


def line(client, id, splits, rouge_l, exact_match=0.0, **more):
    made = {
        'prompt': 'global' if client is None else 'personalized',
        'client': client,
        'epoch': 0 if client is None else 2,
        'task': 't',
        'id': id,
        'input': f'input {id}',
        'rouge_l': rouge_l,
        'exact_match': exact_match,
    }
    return made | ({'splits': splits} if client is not None else {}) | more


def row(client, split, epoch=2, prompt='personalized'):
    return {
        'prompt': prompt, 'client': client, 'split': split, 'epoch': epoch,
        'alpha': 1.0, 'rouge_l': 50.0, 'exact_match': 0.0, 'loss': 1.0, 'n': 2,
    }  # fmt: skip


ROWS = [row(c, split) for c in (3, 5) for split in ('local', 'global')]
LINES = [
    line(None, 'a', (), 0.2, 1.0),
    line(None, 'b', (), 0.9),
    line(None, 'c', (), 0.5),
    line(3, 'a', ['local', 'global'], 0.6),
    line(3, 'b', ['global'], 0.1),
    line(5, 'c', ['local'], 0.5, 1.0),
    line(5, 'a', ['global'], 0.1),
    line(5, 'b', ['global'], 1.0, 1.0),
    line(3, 'a', ['local'], 1.0, epoch=1),  # of an epoch before the last
    line(3, 'a', ['local'], 1.0, prompt='averaged'),
]


def written(folder, lines):
    text = ''.join(json.dumps(x) + '\n' for x in lines)
    (folder / 'predictions.jsonl').write_text(text)
    return folder


def scores_of(found, name='rouge_l'):
    return {(r['client'], r['split']): pytest.approx(r[name]) for r in found}


def test_of_each_example_the_better_answer_counts(tmp_path):
    found = genie.rows(written(tmp_path, LINES), ROWS, 'rouge_l')
    assert scores_of(found) == {
        (3, 'local'): 60.0, (3, 'global'): 75.0,
        (5, 'local'): 50.0, (5, 'global'): 60.0,
    }  # fmt: skip
    # Equal in ROUGE-L: the personalized answer, which is exact.
    assert scores_of(found, 'exact_match')[5, 'local'] == 100.0
    assert {r['prompt'] for r in found} == {'genie'}
    assert all(math.isnan(r['loss']) and r['n'] == 2 for r in found)


def test_the_better_answer_is_that_of_the_run_s_metric(tmp_path):
    found = genie.rows(written(tmp_path, LINES), ROWS, 'exact_match')
    assert scores_of(found, 'exact_match')[3, 'local'] == 100.0
    assert scores_of(found)[3, 'local'] == 20.0


def test_a_client_whose_prompt_is_not_finite_is_dropped(tmp_path):
    """Its scores are null in the file."""
    lines = [x | ({'rouge_l': None} if x['client'] == 5 else {}) for x in LINES]
    found = genie.rows(written(tmp_path, lines), ROWS, 'rouge_l')
    values = {(r['client'], r['split']): r['rouge_l'] for r in found}
    assert values[3, 'local'] == pytest.approx(60)
    assert math.isnan(values[5, 'local']) and math.isnan(values[5, 'global'])


def test_without_epochs_or_splits_there_is_no_genie(tmp_path):
    before = [row(3, 'local', 0, 'global')]
    assert genie.rows(written(tmp_path, LINES), before, 'rouge_l') == []
    old = [{k: v for k, v in x.items() if k != 'splits'} for x in LINES]
    assert genie.rows(written(tmp_path, old), ROWS, 'rouge_l') == []
    (tmp_path / 'predictions.jsonl').unlink()
    assert genie.rows(tmp_path, ROWS, 'rouge_l') == []


def test_no_prompt_of_a_run_is_better_than_its_genie(tmp_path):
    """And it is in the report of the run."""
    runs = Runs(tmp_path)
    runs.start(tmp_path / 'run', **SHORT)
    run = Run(tmp_path / 'run')
    found = genie.rows(run.folder, run.rows, 'rouge_l')
    last = [
        r
        for r in run.rows
        if r['prompt'] == 'global'
        or (r['prompt'], r['epoch']) == ('personalized', 3)
    ]
    best = scores_of(found)
    assert len(found) == 4 and len(last) == 8
    for r in last:
        assert r['rouge_l'] <= best[r['client'], r['split']].expected + 1e-9
    text = page.write(run.folder).read_text('utf-8')
    assert genie.NOTE in text and '<td>genie</td>' in text
    assert not summary.is_shared('genie', found)
