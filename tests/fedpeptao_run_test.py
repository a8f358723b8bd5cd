"""Whole runs of FedPepTAO on a tiny table: stages, views, kills, resumes."""

import contextlib
import gc
import json
import shutil
import types
from unittest import mock

import numpy as np
import pytest
from safetensors.numpy import load_file

from configs.fedpeptao import settings
from fedprompt_jax.evaluation import agreement
from fedprompt_jax.experiment import (
    build,
    client_types,
    layer_choice,
    preemption,
)
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.federated.layers import scores
from fedprompt_jax.report import page, views
from fedprompt_jax.report.run import Run
from tests import counts_test, tiny, tiny_families, tiny_run, tiny_sources
from tests.exhaustive import beyond, exhaustive
from tests.tiny_run import Runs, StopAfter, results

WORDS = ('terrible', 'great')
# Three kinds of reviews, of which the second class has two.
TEXTS = ('a poor play', 'a fine passage', 'the good name')
SMALL = {
    'rounds': 2,
    'clients_per_round': 3,
    'local_epochs': 1,
    'batch_size': 4,
    'validation__every': 2,
    'validation__clients': 3,
    'evaluation__views_every': 1,
    'data__num_clients': 5,
    'data__max_query': 40,
    'prefix__length': 2,
    'fedpeptao__score_examples': 3,
    # Two devices a step of the stage that scores layers.
    'packing__max_tokens': 200,
    'personalization__epochs': 0,
    'personalization__clients': 2,
    'personalization__global_examples': 1000,
}


def table(folder, count: int, start: int):
    rows = [
        {'sentence': f'{TEXTS[i % 3]} {i}', 'label': int(i % 3 > 0)}
        for i in range(start, start + count)
    ]
    return rows


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    base = types.SimpleNamespace(
        get_config=lambda: settings.config('sst2', 'quickstart')
    )
    runs = Runs(tmp_path_factory.mktemp('runs'), base)
    model = tiny.make_checkpoint(runs.folder / 'three', num_layers=3)
    runs.base.model.source = str(model)
    shipped = settings.config('sst2', 'quickstart')
    folder = runs.folder / 'sst2'
    folder.mkdir()
    for name, count, start in (
        ('train', 60, 0), ('validation', 15, 100), ('test', 24, 200),
    ):  # fmt: skip
        tiny_sources.write_lines(
            folder / f'{name}.jsonl', table(folder, count, start)
        )
    runs.base.data.update(shipped.data)
    runs.base.data.path = str(folder)
    for key in ('local_steps', 'local_epochs'):
        runs.base[key] = shipped[key]
    return runs


@pytest.fixture(scope='module')
def whole(runs):
    path = runs.folder / 'whole'
    runs.start(path, **SMALL)
    return path


def lines(path, stage: str) -> list[dict]:
    text = (path / 'metrics.jsonl').read_text()
    found = map(json.loads, text.splitlines())
    return [line for line in found if line['stage'] == stage]


def test_layers_are_scored_before_the_first_round(whole):
    text = (whole / 'metrics.jsonl').read_text().splitlines()
    stages = [json.loads(line)['stage'] for line in text]
    assert stages[:4] == ['layers'] * 3 + ['validation']
    record = json.loads((whole / 'layers.json').read_text())
    assert record['devices'] == 5 and len(record['scores']) == 3
    ranks = scores.ranking(np.array(record['scores']), 'largest').tolist()
    assert record['ranking'] == ranks
    assert record['chosen'] == sorted(ranks[:2])  # half of three, rounded up


def test_stage_1_is_taken_over_with_its_layers(runs, whole):
    path = runs.folder / 'taken over'
    info = sharing(runs, path, whole, personalization__epochs=1)
    assert info['stage_1_from'] == 'whole'
    name = 'layers.json'
    assert (path / name).read_bytes() == (whole / name).read_bytes()
    assert lines(path, 'views') == lines(whole, 'views')


def sharing(runs, path, other, **changes) -> dict:
    """run.json of a run that may take over what `other` has done."""
    config = runs.config(**SMALL | changes)
    with mock.patch.object(page, 'write'):
        run_lib.execute(
            config, path, runs.folder / 'cache', runs.loaded, StopAfter(0),
            None, [other],
        )  # fmt: skip
    return json.loads((path / 'run.json').read_text())


def test_layer_scores_are_taken_over_by_runs_that_train_otherwise(runs, whole):
    changes = {
        'fedpeptao__server': 'fedavg',
        'fedpeptao__ratio': 0.3,
        'client__learning_rate': 0.1,
        'rounds': 1,
        'validation__every': 1,
    }
    path, alone = runs.folder / 'scores taken', runs.folder / 'scores alone'
    info = sharing(runs, path, whole, **changes)
    assert info['stage_before_from'] == 'whole'
    assert 'stage_1_from' not in info
    # To the second: they are the lines of the other run.
    assert lines(path, 'layers') == lines(whole, 'layers')
    runs.start(alone, **SMALL | changes)
    assert results(path) == results(alone)
    name = 'layers.json'
    assert (path / name).read_bytes() == (alone / name).read_bytes()


@pytest.mark.parametrize(
    'changes',
    [
        {'fedpeptao__score_examples': 2},
        {'fedpeptao__score': 'l1'},
        {'seed': 1},
        {'data__target': ' It is {output} .'},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_scores_of_other_settings_are_not_taken_over(runs, changes):
    one_step = SMALL | {'packing__max_tokens': 10_000}
    key = next(iter(changes))
    first, path = runs.folder / 'one step', runs.folder / f'not taken {key}'
    runs.start(first, stop=1, **one_step)
    config = runs.config(**one_step | changes)
    with contextlib.suppress(preemption.Preempted):
        run_lib.execute(
            config, path, runs.folder / 'cache', runs.loaded, StopAfter(1),
            None, [first],
        )  # fmt: skip
    info = json.loads((path / 'run.json').read_text())
    assert info['stage_before'] and 'stage_before_from' not in info
    assert len(lines(path, 'layers')) == 1


def test_a_run_takes_over_scores_of_a_run_that_is_still_training(runs, whole):
    other, path = runs.folder / 'begun', runs.folder / 'of the begun one'
    runs.start(other, stop=4, **SMALL)  # three steps of the stage, and a round
    info = sharing(runs, path, other)
    assert info['stage_before_from'] == 'begun'
    assert results(path) == results(whole)


def test_half_of_the_traffic_of_all_layers(whole, runs):
    (first, *_) = lines(whole, 'train')
    leaf = 2 * 2 * 2 * 8 * 4  # P, key and value, K, h, f32
    assert first['bytes_up'] == first['bytes_down'] == 3 * 2 * leaf
    assert 1 / 3 <= first['slowest_share'] < 1
    info = json.loads((whole / 'run.json').read_text())
    assert info['parameters']['sent'] * 3 == info['parameters']['trained'] * 2


def test_only_the_chosen_layers_of_the_global_prompt_have_moved(whole):
    """Those of the first round at least; PEFT's format has all of them."""
    record = json.loads((whole / 'layers.json').read_text())
    initial, last = (prefix_rows(whole, name) for name in ('initial', 'global'))
    moved = np.abs(last - initial).max(axis=(0, 2)) > 0
    assert np.flatnonzero(moved).tolist() == record['chosen']


def prefix_rows(path, prompt: str) -> np.ndarray:
    """A prompt of a run, f32 [virtual tokens, layers, key and value]."""
    file = path / 'prompts' / prompt / 'adapter_model.safetensors'
    return load_file(file)['prompt_embeddings'].reshape(2, 3, -1)


@pytest.mark.parametrize('steps', [1, 3, 4])
def test_stopped_in_a_stage_or_a_round_the_run_is_the_same(runs, whole, steps):
    path = runs.folder / f'stopped {steps}'
    runs.start(path, stop=steps, **SMALL)
    assert len(lines(path, 'train')) == max(0, steps - 3)
    runs.start(path, **SMALL)
    assert results(path) == results(whole)
    name = 'layers.json'
    assert (path / name).read_bytes() == (whole / name).read_bytes()


def test_both_views_of_the_whole_test_split(whole, runs):
    """24 examples; each client's own once, and pooled they are all."""
    found = lines(whole, 'views')
    assert [line['round'] for line in found] == [0, 1, 2]
    assert all(line['examples'] == 24 for line in found)
    # Before the first round all clients answer with the initial prompt.
    first = found[0]
    assert first['own_accuracy'] == pytest.approx(first['global_accuracy'])
    assert first['own_loss'] == pytest.approx(first['global_loss'], rel=1e-5)
    assert first['own_clients_accuracy'] == pytest.approx(
        first['global_clients_accuracy']
    )
    last = found[-1]
    assert last['own_loss'] != pytest.approx(last['global_loss'], rel=1e-4)


def test_the_own_view_is_each_client_s_prompt_on_its_part(runs):
    """Against a loop: client by client, with the prompt that it keeps."""
    from fedprompt_jax.evaluation.scoring import Request
    from fedprompt_jax.experiment import views as views_lib

    config = runs.config(**SMALL)
    folder, data = build.load_data(config, runs.folder / 'cache', runs.loaded)
    made = build.build(config, folder, data, runs.loaded)
    rng = np.random.default_rng(0)

    def moved(x, count):
        noise = rng.normal(0, 0.5, (count, *x.shape)).astype(np.float32)
        return x + noise

    import jax

    kept = jax.tree.map(lambda x: moved(x, 5), made.params)
    clients = types.SimpleNamespace(
        prompts=lambda server, ids: jax.tree.map(lambda x: x[ids], kept)
    )
    logged = {}
    run = types.SimpleNamespace(log=logged.update)
    server = types.SimpleNamespace(params=made.params, round=3)
    views_lib.log(made, run, clients, server)
    hits, losses = [], []
    for client in range(5):
        mine = data.views.parts[client]
        bank = jax.tree.map(lambda x, c=client: x[c][None], kept)
        scored = made.evaluator.score(bank, [Request(0, int(i)) for i in mine])
        hits.append(scored.exact_match)
        losses.append(scored.loss / scored.target_tokens)
    means = [100 * h.mean() for h in hits]
    assert logged['own_accuracy'] == pytest.approx(
        100 * np.concatenate(hits).mean()
    )
    assert logged['own_loss'] == pytest.approx(
        np.concatenate(losses).mean(), rel=1e-4
    )
    assert logged['own_clients_accuracy'] == pytest.approx(np.mean(means))
    assert logged['own_clients_accuracy_se'] == pytest.approx(
        np.std(means, ddof=1) / 5**0.5
    )
    assert logged['clients'] == 5


def test_layers_that_are_absent_stay_absent(runs):
    """unselected='none': zeros that no training moves."""
    path = runs.folder / 'none'
    absent = {
        'fedpeptao__unselected': 'none',
        'prefix__zero_layers': 'absent',
        'fedpeptao__score': 'random',
    }
    runs.start(path, **SMALL | absent)
    record = json.loads((path / 'layers.json').read_text())
    assert 'scores' not in record
    info = json.loads((path / 'run.json').read_text())
    assert info['parameters']['trained'] == 3 * 64
    (first, *_) = lines(path, 'train')
    assert first['bytes_up'] == 3 * len(record['chosen']) * 256
    saved = load_file(path / 'prompts' / 'global' / 'params.safetensors')
    for name, x in saved.items():
        chosen = int(name.split('/')[-1]) in record['chosen']
        assert (np.abs(x).max() > 0) == chosen


# Those of the paper's models. 'masked' is RoBERTa, asked as settings ask it;
# its two words are tokens of the tiny tokenizer.
FAMILIES = {'llama': '', 'gpt2': 'gpt2', 'masked': 'roberta'}


@pytest.mark.parametrize(
    ('family', 'server'),
    beyond(
        [('llama', 'fedpeptao')],
        [(f, s) for f in FAMILIES for s in ('fedpeptao', 'fedavg')],
    ),
)
def test_a_whole_run_of_each_family(runs, whole, family, server):
    """Half of the layers travel, both ways; both views are scored."""
    path = whole
    if (family, server) != ('llama', 'fedpeptao'):
        path = runs.folder / f'{family} {server}'
        changes = of_family(runs, family) | {'fedpeptao__server': server}
        runs.start(path, **SMALL | changes)
    record = json.loads((path / 'layers.json').read_text())
    chosen = record['chosen']
    assert record['devices'] == 5 and len(chosen) == 2
    assert record['layers'] == [0, 1, 2]
    assert len(set(record['scores'])) == 3 and record['scores'][-1] == 0
    initial, last = (prefix_rows(path, name) for name in ('initial', 'global'))
    moved = np.abs(last - initial).max(axis=(0, 2)) > 0
    assert np.flatnonzero(moved).tolist() == chosen
    numbers = last[:, chosen].size
    rounds = lines(path, 'train')
    assert [line['round'] for line in rounds] == [1, 2]
    for line in rounds:
        assert line['layers_sent'] == len(chosen)
        assert line['bytes_up'] == line['bytes_down'] == 3 * numbers * 4
    found = lines(path, 'views')
    assert [line['round'] for line in found] == [0, 1, 2]
    assert found[0]['own_loss'] == pytest.approx(
        found[0]['global_loss'], rel=1e-5
    )
    assert found[-1]['own_loss'] != pytest.approx(
        found[-1]['global_loss'], rel=1e-4
    )
    assert found[-1]['global_loss'] != found[0]['global_loss']
    scored = {row['prompt'] for row in Run(path).rows}
    assert {'initial', 'global'} <= scored


def of_family(runs, family: str) -> dict:
    """The config's keys for a family, whose checkpoint is made."""
    if not FAMILIES[family]:
        return {}
    folder = runs.folder / f'model of {family}'
    if not folder.exists():
        tiny_families.make_checkpoint(folder, FAMILIES[family])
    changes = {'model__source': str(folder)}
    if family == 'masked':
        template, separator = settings.TASKS['sst2'].masked
        changes |= {
            'data__labels': ('the', 'is'),
            'data__template': template,
            'data__separator': separator,
            'data__target': ' {output}',
        }
    return changes


ESTIMATED = SMALL | {
    'fedpeptao__estimate_ratio': True,
    'fedpeptao__ratio_rounds': 2,
    'fedpeptao__lanczos_steps': 4,
    'rounds': 1,
    'evaluation__views_every': 0,
    'validation__every': 0,
    'checkpoint__every': 2,
}


@pytest.fixture(scope='module')
def estimated(runs):
    path = runs.folder / 'estimated'
    runs.start(path, **ESTIMATED)
    return path


@exhaustive
def test_the_ratio_is_estimated_from_curvatures(estimated):
    """Of each device of the last of two rounds."""
    found = lines(estimated, 'layer_ratio')
    assert [line['step'] for line in found] == [1, 2, 3, 4, 5]
    assert all('loss' in line for line in found[:2])
    ratios = [line['ratio'] for line in found[2:]]
    assert all(0 <= ratio <= 1 for ratio in ratios)
    record = json.loads((estimated / 'layer_ratio.json').read_text())
    assert record['share'] == pytest.approx(np.mean(ratios))
    assert (record['rounds'], record['devices']) == (2, 3)
    layers = json.loads((estimated / 'layers.json').read_text())
    assert len(layers['chosen']) == scores.count(3, record['share'])


def same_as_estimated(path, estimated) -> None:
    assert results(path) == results(estimated)
    for name in ('layer_ratio.json', 'layers.json'):
        assert (path / name).read_bytes() == (estimated / name).read_bytes()


# After a round, after the last one, and between devices.
@exhaustive
@pytest.mark.parametrize('steps', [1, 2, 3, 4, 5])
def test_stopped_while_the_ratio_is_estimated(runs, estimated, steps):
    path = runs.folder / f'estimated, stopped {steps}'
    runs.start(path, stop=steps, **ESTIMATED)
    assert len(lines(path, 'layer_ratio')) == steps
    assert not lines(path, 'layers')
    runs.start(path, **ESTIMATED)
    same_as_estimated(path, estimated)


class Killed(Exception):
    """Stands for a signal that nothing can catch."""


class KillAfter(StopAfter):
    """Ends a run after so many steps, the last of which is not saved."""

    def asked(self) -> bool:
        if super().asked():
            raise Killed
        return False


# Every other step is saved: one or two of these are lost.
@exhaustive
@pytest.mark.parametrize('steps', [1, 2, 4, 5])
def test_killed_while_the_ratio_is_estimated(runs, estimated, steps):
    path = runs.folder / f'estimated, killed {steps}'
    with (
        mock.patch.object(tiny_run, 'StopAfter', KillAfter),
        pytest.raises(Killed),
    ):
        runs.start(path, stop=steps, **ESTIMATED)
    assert len(lines(path, 'layer_ratio')) == steps
    gc.collect()  # it leaves its lock
    runs.start(path, **ESTIMATED)
    same_as_estimated(path, estimated)


def test_the_report_shows_layers_views_and_traffic(whole, tmp_path):
    text = page.write(whole).read_text()
    assert 'Training clients on the official test split' in text
    assert views.VIEWS['own'] in text
    for name in ('layers', 'views'):
        assert (whole / 'figures' / f'{name}.png').is_file()
    assert 'up: clients to server' in text
    run = Run(whole)
    found = run.stage('views')
    best = views.best(run)
    assert best['round'] == 2  # the only round that was validated
    summary = views.summary(run, 'own_accuracy')
    assert summary['last'] == found[-1]['own_accuracy']
    assert summary['last ten'] == pytest.approx(
        np.mean([line['own_accuracy'] for line in found[1:]])
    )


def test_the_command_prints_the_same_layers(runs, whole):
    config = runs.config(**SMALL)
    record = layer_choice.collect(config, runs.folder / 'cache')
    saved = json.loads((whole / 'layers.json').read_text())
    assert record['chosen'] == saved['chosen']
    np.testing.assert_allclose(record['scores'], saved['scores'], rtol=1e-6)
    assert 'published' not in record
    text = layer_choice.text(record)
    assert '2 of 3 layers travel (share 0.500)' in text
    assert text.count('  yes') == 2
    assert 'released code' not in text


@pytest.mark.parametrize(
    ('model', 'task', 'known'),
    [
        ('roberta-large', 'rte', (9, 8, 11, 7)),
        ('GPT2-large/', 'mrpc', (2, 1, 3, 34)),
        ('open_llama_7b', 'mrpc', (8, 9, 10, 11)),
        ('roberta-large', 'mrpc', ()),
        ('roberta-large-2', 'rte', ()),
    ],
)
def test_the_released_code_s_layers_stand_beside(runs, model, task, known):
    """Those of the same model and task, and no others."""
    folder = runs.folder / 'published' / model
    if not folder.exists():
        shutil.copytree(runs.base.model.source, folder)
    source = f'{folder}/' if model.endswith('/') else str(folder)
    # Random layers: nothing is computed for them.
    random = {'model__source': source, 'fedpeptao__score': 'random'}
    config = runs.config(**SMALL | random, name=f'fedpeptao_{task}')
    record = layer_choice.collect(config, runs.folder / 'cache')
    published = record.get('published', [])
    assert tuple(published[:4]) == known
    if not known:
        return
    # Of the paper's model, half of whose layers the scripts choose.
    number = len(published)
    count = counts_test.config_of(model.lower().rstrip('/')).num_layers
    assert number == len(set(published)) == scores.count(count, 0.5)
    assert max(published) < count
    both = len(set(published) & set(record['chosen']))
    told = ', '.join(map(str, published))
    assert layer_choice.text(record).endswith(
        f"the released code's example: {told}; {both} of {number} are chosen "
        'here too'
    )


def test_every_model_with_a_published_choice_has_a_scale():
    for model, name in layer_choice.PUBLISHED:
        sources = [m.source.lower() for m in settings.MODELS.values()]
        assert sum(source.endswith(model) for source in sources) == 1
        assert name.removeprefix('fedpeptao_') in settings.TASKS


def test_metrics_of_agreement():
    """Against the definitions on a table of counts."""
    right = np.repeat([1, 1, 0, 0], [30, 10, 15, 45])
    chosen = np.repeat([1, 0, 1, 0], [30, 10, 15, 45])
    tp, fn, fp, tn = 30, 10, 15, 45
    mcc = (tp * tn - fp * fn) / (
        (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    ) ** 0.5
    assert agreement.matthews(chosen, right) == pytest.approx(mcc)
    assert agreement.f1(chosen, right) == pytest.approx(
        2 * tp / (2 * tp + fp + fn)
    )
    assert agreement.accuracy(chosen, right) == 0.75
    assert agreement.accuracy_f1(chosen, right) == pytest.approx(
        (0.75 + 60 / 85) / 2
    )
    same = np.ones(5, int)
    assert agreement.matthews(same, np.array([1, 0, 1, 0, 1])) == 0
    assert agreement.f1(np.zeros(3, int), np.zeros(3, int)) == 0


def test_the_command_prints_the_clients(runs):
    """Each of them with the labels of its own instances."""
    config = runs.config(**SMALL)
    found = client_types.collect(config, runs.folder / 'cache')
    assert found['types'] == ['great', 'terrible']
    _, data = build.load_data(config, runs.folder / 'cache', runs.loaded)
    for name, parts in (('train', data.population), ('test', data.views.parts)):
        expected = [
            [
                sum(data.store.record(int(i))['outputs'] == [word] for i in ids)
                for word in found['types']
            ]
            for ids in (parts[c] for c in range(5))
        ]
        assert found['parts'][name]['counts'] == expected
    text = client_types.text(found)
    assert 'train         5         60' in text
    assert len(client_types.figure_of(found).axes) == 2
