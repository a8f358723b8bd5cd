"""Every shipped config is valid, and every fault of a config is told."""

import importlib
from pathlib import Path
import subprocess
import sys

import pytest

from configs import fedavg_adam
from fedprompt_jax import algorithms
from fedprompt_jax.experiment import command_line
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.federated import optimizers

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(p.stem for p in (ROOT / 'configs').glob('[a-z]*.py'))
PAPER = ('paper', 'paper-high', 'paper-medium', 'paper-low')
SCALES = ('quickstart', 'sni', *PAPER)


def get(name, scale):
    return importlib.import_module(f'configs.{name}').get_config(scale)


def faults(config):
    with pytest.raises(ValueError) as error:
        config_lib.check(config, files=False)
    first, *lines = str(error.value).split('\n  - ')
    assert first == f'The config has {len(lines)} fault(s):'
    return lines


@pytest.mark.parametrize('scale', SCALES)
@pytest.mark.parametrize('name', CONFIGS)
def test_every_shipped_config_is_valid(name, scale):
    config = get(name, scale)
    config_lib.check(config, files=False)
    assert config.name == name and config.scale == scale
    for part in ('client', 'server', 'personalization'):
        c = config[part]
        optimizers.make(c.optimizer, c.learning_rate)


@pytest.mark.parametrize('scale', SCALES)
@pytest.mark.parametrize('name', CONFIGS)
def test_a_config_has_the_keys_of_the_config_and_of_its_algorithm(name, scale):
    def keys(tree, prefix=''):
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from keys(value, f'{prefix}{key}.')
            else:
                yield f'{prefix}{key}'

    config = get(name, scale)
    rules = getattr(algorithms.get(config.algorithm), 'KEYS', {})
    section = {f'{config.algorithm}.{key}' for key in rules}
    base = fedavg_adam.get_config().to_dict()
    assert set(keys(config.to_dict())) == set(keys(base)) | section


def test_every_number_has_a_rule():
    """A new key cannot slip through unchecked."""
    config, unchecked = fedavg_adam.get_config(), []
    checked = {*config_lib.RULES, 'personalization.global_examples'}
    for part, value in config.items():
        inner = value.items() if hasattr(value, 'items') else [('', value)]
        for key, v in inner:
            path = f'{part}.{key}'.strip('.')
            if type(v) in (int, float) and path not in checked:
                unchecked.append(path)
    assert not unchecked


# Table 2 (training) and Table 3 (personalization, high computation) of the
# paper: server, client, personalization for partitions high, medium, low.
TABLES = {
    'fedavg_adam': [(1, 0.1, 1e-2), (0.1, 1, 1e-2), (0.1, 1, 1e-2)],
    'fedavg_sgd': [(1, 10, 1e-2), (0.1, 10, 1e-3), (1, 10, 1e-2)],
    'fedsgd': [(1, None, 10**-1.5), (1, None, 1e-2), (1, None, 1e-2)],
    'fedsgd_lb': [(0.01, None, 1e-3), (0.1, None, 1e-3), (0.1, None, 1e-3)],
    'centralized': [(1, None, 1e-2)] * 3,
}


def test_the_tables_have_every_config_of_the_paper():
    assert {'centralized', 'fedsgd', 'fedavg_adam'} < set(TABLES) < set(CONFIGS)


@pytest.mark.parametrize('name', TABLES)
def test_the_paper_scales_carry_the_paper_s_learning_rates(name):
    partitions = ('high', 'medium', 'low')
    for partition, rates in zip(partitions, TABLES[name], strict=True):
        config = get(name, f'paper-{partition}')
        assert config.data.partition == partition
        server, client, personal = rates
        assert config.server.learning_rate == server
        if client is not None:
            assert config.client.learning_rate == client
        assert config.personalization.learning_rate == personal
    high, unnamed = get(name, 'paper-high'), get(name, 'paper')
    assert high.data.partition == unnamed.data.partition == 'high'
    assert high.server.learning_rate == unnamed.server.learning_rate


@pytest.mark.parametrize('name', TABLES)
def test_the_paper_scales_carry_the_paper_s_figures(name):
    c = get(name, 'paper')
    seen = c.rounds * c.clients_per_round * c.local_steps * c.batch_size
    assert seen == 4_915_200
    assert c.prompt.length == 10 and c.prompt.init == 'normal'
    assert c.prompt.scale**2 == 0.25
    assert (c.data.max_query, c.data.max_target) == (1024, 128)
    assert c.evaluation.max_new_tokens == 10
    assert c.loss == 'sequence'
    adam = ('adam', {'b1': 0.99, 'b2': 0.999, 'eps': 1e-8})
    assert optimizers.parse(c.server.optimizer) == adam
    assert optimizers.parse(c.personalization.optimizer) == adam
    p = c.personalization
    assert (p.clients, p.train_examples, p.eval_examples) == (32, 256, 128)
    assert (p.global_examples, p.epochs) == (2048, 100)


# Rounds, clients, local steps, examples a step, rounds between validations.
SIZES = {
    'fedavg_adam': (300, 32, 16, 32, 25),
    'fedavg_sgd': (300, 32, 16, 32, 25),
    'fedsgd': (4800, 32, 1, 32, 400),
    'fedsgd_lb': (300, 32, 1, 512, 25),
    'centralized': (4800, 1, 1, 1024, 400),
}


@pytest.mark.parametrize('name', TABLES)
def test_the_paper_scales_carry_the_paper_s_sizes(name):
    c = get(name, 'paper')
    sizes = c.rounds, c.clients_per_round, c.local_steps, c.batch_size
    assert (*sizes, c.validation.every) == SIZES[name]
    assert c.data.client_size == 1200 and c.data.splits == 'paper'
    assert (c.peft, c.aggregation) == ('prompt', 'uniform')
    p = c.personalization
    assert (p.batch_size, p.every, p.l2, p.split) == (32, 4, 0, 'test')
    # The ends, 0 and 1, are scored anyway.
    assert p.alphas == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    algorithm = name.split('_')[0]
    assert c.algorithm == algorithm


def test_the_client_optimizers_of_the_paper():
    adam = get('fedavg_adam', 'paper').client.optimizer
    expected = ('adam', {'b1': 0.99, 'b2': 0.999, 'eps': 1e-8})
    assert optimizers.parse(adam) == expected
    assert get('fedavg_sgd', 'paper').client.optimizer == 'sgd'


@pytest.mark.parametrize('scale', SCALES)
def test_all_algorithms_see_as_many_examples(scale):
    seen = set()
    for name in CONFIGS:
        c = get(name, scale)
        seen.add(c.rounds * c.clients_per_round * c.local_steps * c.batch_size)
    assert len(seen) == 1


def test_an_unknown_scale_is_answered_with_those_there_are():
    for scale in ('papers', 'paper-dirichlet', 'small', ''):
        with pytest.raises(ValueError, match='use quickstart, sni, paper'):
            fedavg_adam.get_config(scale)


def test_all_faults_are_told_together():
    config = fedavg_adam.get_config()
    config.rounds = -1
    config.batch_size = 0
    config.loss = 'tokens'
    config.algorithm = 'fedavgg'
    config.server.learning_rate = float('nan')
    config.client.optimizer = 'adamm'
    config.data.template = '{inputs}'
    config.personalization.global_examples = 3
    lines = faults(config)
    expected = [
        'config.rounds=-1 must be at least 0.',
        'config.batch_size=0 must be at least 1.',
        'config.server.learning_rate=nan must be above 0 and finite.',
        "config.loss='tokens' must be one of 'sequence', 'example', 'token' "
        "(did you mean 'token'?).",
        "config.algorithm='fedavgg' must be one of "
        f"{', '.join(map(repr, algorithms.names()))} (did you mean 'fedavg'?).",
    ]
    assert [line for line in lines if line in expected] == expected
    text = '\n'.join(lines)
    assert "config.client.optimizer='adamm': optax has no" in text
    assert "config.data.template='{inputs}' has the unknown field" in text
    assert "config.data.template='{inputs}' must contain {input}." in text
    assert 'global_examples=3 must be between clients=4' in text
    assert len(lines) == 9


@pytest.mark.parametrize('key', config_lib.RULES)
def test_every_rule_refuses_what_is_below_it(key):
    config = fedavg_adam.get_config()
    *path, last = key.split('.')
    inner = config_lib.lookup(config, '.'.join(path)) if path else config
    inner[last] = type(inner[last])(-1)
    lines = faults(config)
    assert any(line.startswith(f'config.{key}=-1') for line in lines)


MAY_BE_ZERO = {
    'landscape.clients', 'landscape.random',
    'seed', 'prefix.mlp', 'lpt.depth', 'idpg.bias', 'rounds', 'local_steps',
    'local_epochs', 'client.clip_norm', 'client_store.memory_gb',
    'validation.every', 'personalization.epochs', 'personalization.l2',
    'data.server_share', 'evaluation.few_shot',
    'evaluation.views_every',
}  # fmt: skip


def test_what_may_be_zero():
    found = {k for k, rule in config_lib.RULES.items() if rule.holds(0)}
    assert found == MAY_BE_ZERO


@pytest.mark.parametrize('key', config_lib.RULES)
def test_a_rule_is_what_its_words_say(key):
    rule = config_lib.RULES[key]
    word, least = rule.words.split()[-2:]
    least = float(least)
    assert word in ('above', 'least')
    assert rule.holds(least) == (word == 'least')
    assert rule.holds(least + 1e-9) and not rule.holds(least - 1e-9)
    assert not rule.holds(float('inf')) and not rule.holds(float('nan'))


@pytest.mark.parametrize('key', config_lib.CHOICES)
def test_every_choice_refuses_another_word(key):
    config = fedavg_adam.get_config()
    *path, last = key.split('.')
    inner = config_lib.lookup(config, '.'.join(path)) if path else config
    inner[last] = 'nonsense'
    (line,) = faults(config)
    assert line.startswith(f"config.{key}='nonsense' must be one of")


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'personalization.alphas': (0.5, 1.5)}, 'must lie between 0'),
        ({'personalization.alphas': (-1.0, 2.0)}, 'must lie between 0'),
        ({'personalization.alphas': (0.5, 0.5)}, 'all different'),
        (
            {'personalization.global_examples': 41},
            'clients * eval_examples=40',
        ),
        ({'personalization.global_examples': 3}, 'between clients=4'),
        (
            {'personalization.optimizer': 'adamm'},
            "config.personalization.optimizer='adamm'",
        ),
        ({'prompt.init': 'text'}, "must not be empty for prompt.init='text'"),
        (
            {'peft': 'lpt', 'lpt.depth': 1.0},
            'config.lpt.depth=1.0 must be below',
        ),
        ({'data.splits': 'default'}, "use 'paper' or 'random'"),
        ({'data.target': 'so'}, 'must contain {output}'),
        ({'data.target': '{output} {input}'}, 'the unknown field {input}'),
        ({'algorithm': 'centralized'}, 'config.clients_per_round=4 must be 1'),
        ({'algorithm': 'reptile'}, "must be 'sgd' for algorithm='reptile'"),
        ({'local_steps': 0}, 'one of them must be 0'),
        ({'local_epochs': 2}, 'one of them must be 0'),
        ({'data.held_out_share': 1.0}, 'must be below 1'),
        ({'client.schedule': 'cosin'}, "config.client.schedule='cosin'"),
        ({'server.schedule': 'linear(a=1)'}, 'config.server.schedule='),
        ({'aggregation': 'medan'}, "config.aggregation='medan'"),
        (
            {'packing.scan_steps': True, 'simulation': 'vmap'},
            "scan_steps=True needs config.simulation='packed'",
        ),
    ],
)
def test_faults_between_two_keys(changes, text):
    config = fedavg_adam.get_config()
    config.update_from_flattened_dict(changes)
    (line,) = faults(config)
    assert text in line


def test_a_paper_scale_keeps_its_partition():
    config = fedavg_adam.get_config('paper-low')
    config.data.partition = 'high'
    (line,) = faults(config)
    assert "config.data.partition='high' does not fit" in line
    assert 'paper-high' in line
    config.scale = 'custom'
    config_lib.check(config, files=False)


def test_files_that_are_not_there_are_faults_too(tmp_path):
    config = fedavg_adam.get_config()
    config.model.source = str(tmp_path / 'no model')
    config.data.path = str(tmp_path / 'no data')
    config.batch_size = 0
    with pytest.raises(ValueError, match=r'has 3 fault\(s\)') as error:
        config_lib.check(config)
    for text in ('no model', 'no data', 'config.batch_size=0'):
        assert text in str(error.value)


@pytest.mark.parametrize(
    ('config', 'told'),
    [
        ('/nowhere.py', '--config=/nowhere.py does not exist; give one'),
        ('configs/fedavg_adam.py:big', "The config has no scale 'big'; use"),
    ],
)
def test_a_config_that_cannot_be_loaded_is_a_sentence(config, told):
    command = [sys.executable, 'main.py', f'--config={config}']
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and told in done.stderr
    assert 'Traceback' not in done.stderr and done.stderr.count('\n') == 1


@pytest.mark.parametrize(
    ('flags', 'told'),
    [
        ([], 'give one, such as --config=configs/fedavg_adam.py'),
        (
            ['--config=configs/fedavg_adam.py', '--config.rouns=3'],
            'the config has no such key: ',
        ),
    ],
)
def test_flags_without_a_config_or_with_another_key_are_a_sentence(flags, told):
    done = subprocess.run(
        [sys.executable, 'main.py', *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and told in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    ('home', 'folder'),
    [
        ('/caches', '/caches/fedprompt_jax'),
        ('', '~/.cache/fedprompt_jax'),
        (None, '~/.cache/fedprompt_jax'),
    ],
)
def test_the_cache_is_where_the_environment_says(home, folder, monkeypatch):
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    if home is not None:
        monkeypatch.setenv('XDG_CACHE_HOME', home)
    monkeypatch.setattr(
        command_line.flags, 'DEFINE_string', lambda name, default, _: default
    )
    assert command_line.define_cache_dir() == folder
