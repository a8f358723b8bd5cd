"""Laws of the transfer matrix and of scores by task type, from records."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from fedprompt_jax.report import page, task_types, transfer
from fedprompt_jax.report.figures import transfer as figure
from fedprompt_jax.report.run import Run
from fedprompt_jax.report.transfer import Transfer
from tests.tiny_run import Runs

TYPES = {3: 'b', 5: 'a', 8: 'b', 9: 'b'}  # client -> task type
LOCAL = 3  # examples of a client, of which two are common


def score(client, owner, k):
    """Of client's prompt on owner's example k, 0 to 1."""
    if client is None:
        return (owner + k) / 100
    same = TYPES[client] == TYPES[owner]
    return (owner + k + client * (1 + same) + 10 * (client == owner)) / 100


def line(client, owner, k, splits, epoch=2, **more):
    value = score(client, owner, k)
    made = {
        'prompt': 'global' if client is None else 'personalized',
        'client': client,
        'epoch': 0 if client is None else epoch,
        'task': f't{owner}',
        'type': TYPES[owner],
        'id': f'{owner}-{k}',
        'input': 'x',
        'rouge_l': value,
        'exact_match': value / 2,
    }
    return made | ({} if client is None else {'splits': splits}) | more


def lines(**more):
    found = [
        line(None, owner, k, (), **more)
        for owner in TYPES
        for k in range(LOCAL)
    ]
    for client in TYPES:
        for owner in TYPES:
            for k in range(LOCAL):
                splits = ['local'] * (owner == client) + ['global'] * (k < 2)
                if splits:
                    found.append(line(client, owner, k, splits, **more))
    # After an epoch before the last, and of other prompts: not read.
    before = line(3, 5, 0, ['global'], epoch=1, rouge_l=1.0)
    other = line(3, 5, 0, ['global'], prompt='averaged', rouge_l=1.0)
    return [before, *found, other]


def run_of(folder, lines, source='sni'):
    folder.mkdir()
    text = ''.join(json.dumps(x) + '\n' for x in lines)
    (folder / 'predictions.jsonl').write_text(text)
    config = {'data': {'source': source}}
    (folder / 'config.json').write_text(json.dumps(config))
    return Run(folder)


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path / 'run', lines())


def test_a_cell_is_what_a_prompt_gains_on_the_examples_of_a_client(run):
    found = transfer.read(run, 'rouge_l')
    assert found.clients.tolist() == [5, 3, 8, 9]  # type a before type b
    assert found.types == ['a', 'b', 'b', 'b']
    for i, client in enumerate(found.clients):
        for j, owner in enumerate(found.clients):
            gain = np.mean(
                [
                    score(client, owner, k) - score(None, owner, k)
                    for k in range(2)
                ]
            )
            assert found.gain[i, j] == pytest.approx(100 * gain)
    half = transfer.read(run, 'exact_match')
    np.testing.assert_allclose(half.gain, found.gain / 2)


def test_what_is_kept_is_a_mean_over_other_clients(run):
    kept = transfer.kept(transfer.read(run, 'rouge_l'))
    clients = [5, 3, 8, 9]
    np.testing.assert_allclose(kept.own, [2 * c + 10 for c in clients])
    np.testing.assert_allclose(kept.across, clients)
    # Client 5 is alone with its type.
    np.testing.assert_allclose(kept.within, [math.nan, 6, 16, 18])


def test_an_interval_is_scipy_s_bootstrap_over_clients():
    values = np.random.default_rng(0).normal(3, 2, 30)
    found = transfer.interval(np.append(values, math.nan))
    assert found.estimate == pytest.approx(values.mean())
    assert (found.clients, found.dropped) == (30, 1)
    theirs = stats.bootstrap(
        (values,), np.mean, method='percentile', rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.low == pytest.approx(theirs.low, abs=0.1)
    assert found.high == pytest.approx(theirs.high, abs=0.1)


def test_the_table_by_hand(run):
    header, *body = transfer.table(run)
    assert [len(x) for x in body] == [len(header)] * 4
    cells = {x[0]: (x[1], x[3]) for x in body}
    assert cells == {
        'the client itself': ('+22.50', '4'),
        'other clients of its task type': ('+13.33', '3'),
        'clients of other task types': ('+6.25', '4'),
        'difference: its type less others': ('+6.67', '3'),
    }


def test_an_older_run_without_types_has_the_matrix_by_client(tmp_path):
    old = [{k: v for k, v in x.items() if k != 'type'} for x in lines()]
    run = run_of(tmp_path / 'old', old)
    found = transfer.read(run, 'rouge_l')
    assert found.clients.tolist() == [3, 5, 8, 9]
    assert [x[0] for x in transfer.table(run)][1:] == [
        'the client itself', 'all other clients',
    ]  # fmt: skip
    assert task_types.table(run) == []


def test_without_a_common_set_of_the_clients_there_is_no_matrix(tmp_path):
    """As with an official split: its examples are nobody's."""
    official = [*lines(), line(3, 5, 9, ['global'])]
    one = [x for x in lines() if x['client'] in (None, 3)]
    untrained = [x for x in lines() if x['client'] is None]
    for i, found in enumerate((official, one, untrained, [])):
        run = run_of(tmp_path / f'{i}', found)
        assert transfer.read(run, 'rouge_l') is None
        assert transfer.table(run) == [] and figure.draw([run]) is None


def test_a_prompt_that_is_not_finite_has_an_empty_row(tmp_path):
    broken = [
        x | ({'rouge_l': None, 'exact_match': None} if x['client'] == 8 else {})
        for x in lines()
    ]
    run = run_of(tmp_path / 'run', broken)
    found = transfer.read(run, 'rouge_l')
    assert np.isnan(found.gain[2]).all() and not np.isnan(found.gain[:2]).any()
    assert transfer.table(run)[1][3] == '3'
    assert figure.draw([run]) is not None


def test_the_figure_is_the_matrix_with_lines_between_types(run):
    drawn = figure.draw([run])
    ax = drawn.axes[0]
    (image,) = ax.images
    found = transfer.read(run, 'rouge_l')
    np.testing.assert_array_equal(image.get_array(), found.gain)
    assert image.norm.vmin == -image.norm.vmax  # white is no gain
    assert [t.get_text() for t in ax.get_yticklabels()] == ['a', 'b']
    assert ax.get_yticks().tolist() == [0.0, 2.0]
    across = [x for x in ax.lines if x.get_ydata()[0] == x.get_ydata()[1]]
    assert [x.get_ydata()[0] for x in across] == [0.5]
    assert figure.draw([run, run]) is None


def test_cells_without_examples_are_left_out_of_means():
    found = Transfer(
        np.arange(3), ['a', 'a', 'a'],
        np.array([[1, 2, math.nan], [3, 4, math.nan], [5, 6, math.nan]]),
    )  # fmt: skip
    np.testing.assert_allclose(transfer.kept(found).within, [2, 3, 5.5])


def test_each_type_has_the_metric_of_the_benchmark(tmp_path):
    names = {'a': 'word analogy', 'b': 'Title Generation'}
    named = [x | {'type': names[x['type']]} for x in lines()]
    run = run_of(tmp_path / 'run', named)
    header, *body = task_types.table(run)
    cells = {x[0]: dict(zip(header, x, strict=True)) for x in body}
    assert list(cells) == ['Title Generation', 'word analogy', 'all']
    analogy, title = cells['word analogy'], cells['Title Generation']
    assert analogy['metric'] == 'exact match'
    assert title['metric'] == 'ROUGE-L'
    # Client 5: (5 + k + 2 * 5 + 10) / 2 of three examples, before (5 + k) / 2.
    assert analogy['local, personalized prompt'] == '13.00'
    assert analogy['local, global prompt'] == '3.00'
    assert analogy['ROUGE-L: local, personalized prompt'] == '26.00'
    # Clients 3, 8 and 9: (3 * owner + k + 10), before (owner + k).
    assert title['local, personalized prompt'] == '31.00'
    assert title['local, global prompt'] == '7.67'
    # All four prompts on examples 0 and 1 of client 5.
    common = np.mean([5.5 + c * (2 if c == 5 else 1) for c in TYPES]) + 2.5
    assert analogy['ROUGE-L: global, personalized prompt'] == f'{common:.2f}'
    assert cells['all']['local examples'] == '12'
    assert cells['all']['local, personalized prompt'] == '26.50'
    assert cells['all']['ROUGE-L: local, personalized prompt'] == '29.75'


def test_types_are_those_of_super_natural_instructions_alone(tmp_path):
    run = run_of(tmp_path / 'run', lines(), source='jsonl')
    assert task_types.table(run) == []


def test_a_dropped_client_is_in_no_mean_of_a_type(tmp_path):
    broken = [
        x | ({'rouge_l': None, 'exact_match': None} if x['client'] == 8 else {})
        for x in lines()
    ]
    header, *body = task_types.table(run_of(tmp_path / 'run', broken))
    b = dict(zip(header, body[1], strict=True))
    # Of clients 3 and 9 alone.
    assert b['local, personalized prompt'] == '29.00'
    assert b['local, global prompt'] == '7.00'


def test_a_run_leaves_what_both_are_made_of(tmp_path):
    runs = Runs(tmp_path)
    runs.start(tmp_path / 'run')
    run = Run(tmp_path / 'run')
    found = transfer.read(run, 'rouge_l')
    assert found.gain.shape == (2, 2)
    # The common set has two examples of each client; by tradeoff.csv.
    means = {
        (r['prompt'], r['client']): r['rouge_l']
        for r in run.rows
        if r['split'] == 'global' and r['prompt'] in ('global', 'personalized')
    }
    for client, row in zip(found.clients, found.gain, strict=True):
        gain = means['personalized', client] - means['global', client]
        assert row.mean() == pytest.approx(gain)
    text = page.write(run.folder).read_text('utf-8')
    assert '<h2>By task type</h2>' in text
    assert '<h2>Transfer between clients</h2>' in text
