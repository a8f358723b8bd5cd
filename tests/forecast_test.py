"""Laws of a plan: hours follow the config, bytes and rates are by hand."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.experiment import stage_one
from fedprompt_jax.models import families, source
from fedprompt_jax.models.sizes import (
    base_leaves,
    block_params,
    target_params,
)
from fedprompt_jax.models.token_loss import CHUNK
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from fedprompt_jax.planning import chips, cost, forecast, plan, workload
from tests import plain, tiny, tiny_families

CHIP = chips.Chip(1e9, {'float32': 1e9, 'bfloat16': 4e9}, 1e9, 0.5)
TRAINED = {'prompt': jax.ShapeDtypeStruct((10, 32), jnp.float32)}


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Sizes of a tiny model, with a prompt of 10."""
    folder = tiny.make_checkpoint(tmp_path_factory.mktemp('sizes'))
    return TunedModel(Transformer(source.read_config(folder)), Prompt(10))


@pytest.fixture(scope='module')
def read(model):
    """What a run would read: two batches of each kind, eight requests."""
    rng = np.random.default_rng(0)
    packer = model.packer(Shape(64, 48, (4,)))
    batches = [plain.random_examples(rng, (2, 2)) for _ in range(2)]
    scored = [plain.random_examples(rng, (1,) * 8)]
    return workload.Workload(
        packer, packer, packer, batches, 4, batches, scored, 8, [5] * 8
    )


def made(model, read, **changes) -> forecast.Forecast:
    config = fedavg_adam.get_config()
    config.update_from_flattened_dict(
        {key.replace('__', '.'): value for key, value in changes.items()}
    )
    exchange = stage_one.exchange(config, TRAINED)
    return forecast.forecast(config, model, TRAINED, read, CHIP, exchange)


def test_training_takes_its_rounds_and_steps(model, read):
    once = made(model, read)
    hours = once.hours['training']
    assert hours == pytest.approx(10 * once.round_seconds / 3600)
    assert made(model, read, rounds=20).hours['training'] == 2 * hours
    more = made(model, read._replace(round_steps=8))
    assert more.hours['training'] == 2 * hours
    assert more.tokens == 2 * once.tokens
    assert more.useful_flops == 2 * once.useful_flops
    assert more.flops == 2 * once.flops > more.useful_flops
    tokens = [
        sum(e.num_tokens for e in batch) + 2 * 10 for batch in read.cohorts
    ]
    assert once.tokens == pytest.approx(4 * np.mean(tokens))


def test_validation_is_before_the_first_round_and_after_the_last(model, read):
    def hours(every, **changes):
        found = made(model, read, validation__every=every, **changes)
        return found.hours['validation']

    one = hours(10) / 2
    for every, times in ((0, 0), (1, 11), (4, 4), (5, 3), (20, 2)):
        assert hours(every) == pytest.approx(times * one)
    assert hours(10, validation__clients=12) == pytest.approx(4 * one)
    assert hours(10, validation__examples=12) == pytest.approx(4 * one)


def test_personalization_takes_its_epochs_and_steps(model, read):
    hours = made(model, read).hours['personalization']
    for change, ratio in (
        ({'epochs': 12}, 2),
        ({'batch_size': 5}, 5 / 4),  # 24 examples: 4 steps, and 5
        ({'train_examples': 25}, 5 / 4),
    ):
        keys = {f'personalization__{k}': v for k, v in change.items()}
        found = made(model, read, **keys).hours['personalization']
        assert found == pytest.approx(ratio * hours)


def test_what_is_scored_is_counted_by_hand(model, read):
    """4 clients score 10 local and 16 common examples, of which 4 are both."""
    found = made(model, read)
    # Validation: 3 times 6 clients with 6 examples.
    request = found.hours['validation'] / (3 * 6 * 6)
    shared, bank = 3 * 40, 4 * (10 + 16 - 4)
    for changes, banks in (
        ({}, 3),  # epochs 3 and 6, and alpha 0.5
        ({'epochs': 0}, 0),
        ({'every': 4}, 3),  # epochs 4 and 6
        ({'every': 1}, 7),
        ({'alphas': (0.0, 0.25, 0.5, 1.0)}, 4),
    ):
        keys = {f'personalization__{k}': v for k, v in changes.items()}
        hours = made(model, read, **keys).hours['scoring']
        assert hours == pytest.approx((shared + banks * bank) * request)


def test_what_a_client_sends(model, read):
    each = 10 * 32 * 4
    found = made(model, read)
    assert (found.bytes_down, found.bytes_up, found.bytes_kept) == (
        each,
        each,
        0,
    )
    pooled = made(model, read, algorithm='centralized', clients_per_round=1)
    assert pooled.bytes_up == pooled.bytes_down == 0


def test_text_is_generated_while_nothing_trains():
    memory = {
        'base': 1.0, 'gathered': 2.0, 'bank and optimizers': 4.0,
        'activations': 8.0, 'logits': 16.0, 'generation cache': 20.0,
        'auxiliary model': 32.0, 'attention scores': 3.0,
        'a layer at work': 0.5,
    }  # fmt: skip
    assert forecast.needed(memory) == 1 + 2 + 4 + 32 + 8 + 16
    # Logits are gone when scores are needed.
    assert forecast.needed(memory | {'attention scores': 17.0}) == 47 + 17.5
    assert forecast.needed(memory | {'generation cache': 30.0}) == 39 + 30


def test_a_last_batch_that_is_not_full_is_shared():
    config = fedavg_adam.get_config()
    config.evaluation.batch_size = config.mesh.data = 4
    found = forecast.generated(config, [5] * 9)
    assert [(rows, share) for rows, _, share in found] == [
        (4, 1), (4, 1), (4, 0.25)
    ]  # fmt: skip


def test_operations_of_a_forward_pass_by_hand(model):
    """Three rows of five tokens, two of them targets."""
    sizes = model.transformer.config
    found = cost.forward(sizes, 3, 5, 2)
    products = 15 * block_params(sizes) + 6 * target_params(sizes)
    assert found.products == products
    heads = sizes.num_layers * sizes.num_heads * sizes.head_dim
    assert found.attention == 2 * 15 * 5 * heads
    assert found.flops == 2 * (found.products + found.attention)


def test_bytes_of_keys_values_and_logits_by_hand(model):
    sizes = model.transformer.config
    heads = sizes.num_layers * sizes.num_kv_heads * sizes.head_dim
    found = cost.cache_bytes(sizes, 3, 7, 'bfloat16')
    assert found == 2 * (3 * 7 * heads) * 2  # keys and values of two bytes
    half = cost.logits_bytes(sizes, 8, 4, {'data': 2, 'model': 1})
    assert half == 2 * (8 // 2 * 4 * sizes.vocab_size) * 4  # and a gradient
    # Scores, probabilities and gradients of both, of heads on two chips.
    scores = cost.score_bytes(sizes, 3, 7, 'float32', model=2)
    assert scores == 4 * (3 * 7 * 7 * sizes.num_heads) * 4 / 2


def test_what_remat_computes_again_by_hand(model):
    """All of the layers but `down`, and attention's sum of values."""
    sizes = model.transformer.config
    once = cost.forward(sizes, 3, 5, 2)
    found = cost.again(sizes, 3, 5, 2, remat=True)
    down = sizes.num_layers * sizes.mlp_width * sizes.width
    assert found.products == 15 * (block_params(sizes) - down)
    assert found.attention == once.attention / 2
    assert cost.again(sizes, 3, 5, 2, remat=False) == cost.Work(0, 0)
    # Logits in two chunks of targets are computed again.
    many = cost.again(sizes, CHUNK, 1, 2, remat=False)
    assert many.products == 2 * CHUNK * target_params(sizes)
    mlp = cost.again(sizes, 3, 5, 2, remat=False, remat_mlp=True)
    assert mlp == cost.Work(15 * 2 * down, 0)  # gate and up are as large
    sums = dataclasses.replace(sizes, layout='post')
    found = cost.again(sums, 3, 5, 2, remat=True)
    assert found.products == 15 * block_params(sizes)


def test_bytes_of_a_layer_at_work_by_hand(model):
    sizes = model.transformer.config
    heads = (sizes.num_heads + 2 * sizes.num_kv_heads) * sizes.head_dim
    # Gate, up, and what is between them, with gradients; of x two gradients.
    work = 4 * sizes.mlp_width / 2 + 2 * sizes.width
    found = cost.layer_bytes(sizes, 3, 5, 'bfloat16', model=2)
    assert found == 15 * work * 2
    work += 2 * sizes.width + (2 * sizes.mlp_width + heads) / 2
    found = cost.layer_bytes(sizes, 3, 5, 'bfloat16', remat=True, model=2)
    assert found == 15 * work * 2


def test_what_a_layer_keeps_without_its_mlp_by_hand(model):
    """Its two inputs of norms, queries, keys and values; no gate, no up."""
    sizes = model.transformer.config
    heads = (sizes.num_heads + 2 * sizes.num_kv_heads) * sizes.head_dim
    found = cost.saved_bytes(sizes, 3, 5, 4, 'bfloat16', remat_mlp=True)
    assert found == 2 * 15 * sizes.num_layers * (2 * sizes.width + heads)
    work = cost.layer_bytes(sizes, 3, 5, 'bfloat16', remat_mlp=True)
    more = work - cost.layer_bytes(sizes, 3, 5, 'bfloat16')
    assert more == 2 * 15 * 2 * sizes.mlp_width
    # A whole model's products are computed again too.
    whole = cost.saved_bytes(
        sizes, 3, 5, 4, 'bfloat16', whole=True, remat_mlp=True
    )
    assert whole == found


def test_what_t5_saves_by_hand():
    """Inputs of both stacks' layers, and the table of relative positions."""
    fields = tiny_families.CONFIGS['t5_v1_1'] | {'vocab_size': 300}
    sizes = families.model_config(fields)
    encoder = sizes.encoder
    found = cost.saved_bytes(sizes, 3, 7, 4, 'float32', remat=True)
    states = 3 * 7 * encoder.num_layers * encoder.width
    states += 3 * 4 * sizes.num_layers * sizes.width
    assert found == 4 * (states + 3 * 7 * 7 * encoder.num_heads)


def test_decoding_reads_the_base_or_computes(model):
    sizes, one = model.transformer.config, {'data': 1, 'model': 1}
    base = base_leaves(sizes, 'float32', '')
    total = sum(leaf.size * 4 for leaf in base.values())
    assert cost.base_bytes(base, one) == total

    def seconds(**changes):
        chip = CHIP._replace(**changes)
        args = sizes, base, 6, 5, chip, 'float32', one
        return cost.decode_seconds(*args)

    slow_memory = seconds(bandwidth=1.0)
    assert slow_memory == pytest.approx(5 * total)
    slow_products = seconds(flops={'float32': 1.0})
    each = block_params(sizes) + target_params(sizes)
    assert slow_products == pytest.approx(5 * 2 * 6 * each / 0.5)


def test_the_vendors_figures_are_in_bytes_and_operations():
    h100 = chips.get('h100')
    assert (h100.memory, h100.bandwidth) == (80e9, 3350e9)
    assert h100.flops == {'bfloat16': 989e12, 'float32': 67e12}
    h200 = chips.get('h200')  # the same processor, with another memory
    assert (h200.memory, h200.bandwidth) == (141e9, 4800e9)
    assert h200.flops == h100.flops
    assert not h100.measured and not h200.measured
    for name in ('v4', 'v5e', 'v5p', 'v6e', 'tpu7x'):  # six passes of bf16
        flops = chips.get(name).flops
        assert flops['float32'] == pytest.approx(flops['bfloat16'] / 6)


def test_a_machine_is_measured_by_a_product_and_a_copy(monkeypatch):
    asked: list = []

    def fastest(call, *args):
        asked.append(args[0].size)
        return 2.0

    monkeypatch.setattr(chips, 'fastest', fastest)
    found = chips.measure()
    assert found.flops['float32'] == 2 * 2048**3 / 2
    assert found.bandwidth == 2 * 4 * asked[-1] / 2  # read and written
    assert found.measured


def test_the_fastest_call_counts(monkeypatch):
    times = iter([0, 9, 10, 13, 20, 27, 30, 34, 40, 45, 50, 56])
    clock = types.SimpleNamespace(perf_counter=lambda: next(times))
    monkeypatch.setattr(chips, 'time', clock)
    assert chips.fastest(lambda x: x, jnp.zeros(1)) == 3


def test_assumed_lengths_have_the_means_that_are_asked_for(model):
    config = fedavg_adam.get_config()
    found = workload.assumed(config, model, 40, 8)
    examples = [e for batch in found.scored for e in batch]
    queries = [len(e.query) for e in examples]
    targets = [len(e.target) for e in examples]
    assert np.mean(queries) == pytest.approx(40, rel=0.15)
    assert np.mean(targets) == pytest.approx(8, rel=0.15)
    assert found.requests == len(examples) and found.queries == queries
    assert len({e.owner for e in found.cohorts[0]}) == config.clients_per_round
    assert len(found.cohorts[0]) == 4 * config.batch_size
    assert len(found.epochs[0]) == 4 * config.personalization.batch_size
    config.data.max_query, config.data.max_target = 30, 6
    found = workload.assumed(config, model, 40, 8)
    examples = [e for batch in found.scored for e in batch]
    assert max(len(e.query) for e in examples) == 30
    assert max(len(e.target) for e in examples) == 6


def test_traffic_is_of_the_data_as_the_run_reads_it(model, monkeypatch):
    """Pooled where it trains on pooled data; no text where one chooses."""
    data = types.SimpleNamespace(
        population=[np.array([0]), np.array([1, 2])],
        store=types.SimpleNamespace(
            query_lengths=np.array([5, 6, 7, 8]),
            num_choices=np.array([0, 2, 0, 0]),
        ),
    )
    monkeypatch.setattr(workload.build, 'load_data', lambda *_: (None, data))
    fakes = {
        'evaluation_batches': lambda c, m, data: ([], np.array([3, 1, 0])),
        'of_training': lambda c, m, data, population: population,
        'of_evaluation': lambda *_: None,
        'of_personalization': lambda *_: None,
        'sampled_rounds': lambda c, data, population: [[population]],
        'epoch_batches': lambda *_: [],
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(workload.packers, name, fake)
    for algorithm, clients in (('fedavg', 2), ('centralized', 1)):
        config = fedavg_adam.get_config()
        config.algorithm = algorithm
        found = workload.of_data(config, model, None)
        assert len(found.training) == len(found.cohorts[0]) == clients
        assert found.queries == [8, 5] and found.requests == 3


def test_a_duration_is_in_its_largest_unit():
    for hours, words in ((2, '2.00 h'), (0.5, '30.00 min'), (0.01, '36.00 s')):
        assert plan.duration(hours).strip() == words


def test_only_what_would_help_is_a_lever():
    config = fedavg_adam.get_config()
    assert len(plan.levers(config)) == 5
    config.model.remat_mlp = True
    assert len(plan.levers(config)) == 4
    config.mesh.data = 4
    assert any('fsdp' in lever for lever in plan.levers(config))
    config.mesh.fsdp, config.model.remat = True, True
    config.model.quantization = 'int8'
    assert len(plan.levers(config)) == 2
