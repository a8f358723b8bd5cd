"""Scores of layers equal NumPy's; which layers they choose."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank.layer_states import layer_states
from fedprompt_jax.data.examples import Example
from fedprompt_jax.federated.layers import scores, stages
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.transformer import Transformer
from tests import kinds_test
from tests.exhaustive import beyond

RNG = np.random.default_rng(0)


def plain_score(states: np.ndarray, measure: str) -> float:
    """One layer's score of B examples, [B, S, D]: the definitions, in loops."""
    count = len(states)
    rows = [x.ravel().astype(np.float64) for x in states]
    kernel = np.zeros((count, count))
    far = np.zeros((count, count))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            if measure == 'cosine':
                kernel[i, j] = a @ b / np.sqrt((a @ a) * (b @ b))
            if measure == 'naswot':
                kernel[i, j] = ((a > 0) == (b > 0)).sum()
            far[i, j] = {
                'l1': np.abs(a - b).sum(), 'l2': np.sqrt(((a - b) ** 2).sum())
            }.get(measure, 0.0)  # fmt: skip
    if measure in ('l1', 'l2'):
        kernel = far.max() - far
    values = np.linalg.eigvals(kernel).real
    values = np.where(values < 0, 0, values) + 1e-5
    if measure == 'naswot':
        return float(np.sum(np.log(values)))
    return float(np.sum(np.log(values) + 1 / values))


def scored(states, measure: str) -> np.ndarray:
    """Scores [layers] of one device's states [layers, B, S, D]."""
    states = jnp.asarray(states, jnp.float32)
    (alike,) = np.moveaxis(scores.matrices(states, 1, measure), 1, 0)
    assert alike.dtype == np.float64
    return scores.device_scores(alike, measure)


@pytest.mark.parametrize('measure', scores.MEASURES)
def test_scores_are_those_of_plain_numpy(measure):
    states = RNG.normal(size=(3, 5, 4, 6)).astype(np.float32)
    found = scored(states, measure)
    expected = [plain_score(layer, measure) for layer in states[:-1]]
    np.testing.assert_allclose(found[:-1], expected, rtol=1e-9)
    assert found[-1] == 0


def test_alike_examples_score_high():
    """The code's sign: the more collinear, the larger."""
    one = RNG.normal(size=(1, 4, 6))
    alike = one + 0.01 * RNG.normal(size=(5, 4, 6))
    apart = RNG.normal(size=(5, 4, 6))
    states = np.stack([apart, alike, apart])
    found = scored(states, 'cosine')
    assert found[1] > 10 * found[0]
    assert scores.ranking(found, 'largest').tolist() == [1, 0, 2]
    assert scores.ranking(found, 'smallest').tolist() == [0, 1, 2]


def test_choices_are_of_those_that_have_something_to_send():
    ranks = np.array([5, 0, 3, 1, 2, 4])
    assert scores.choose(ranks, [1, 2, 3, 4], 0.5) == [1, 3]
    assert scores.choose(ranks, [0, 1, 2], 0.5) == [0, 1]  # 1.5 rounds up
    assert scores.choose(ranks, [0, 1, 2], 0.01) == [0]


def test_a_share_in_f32_is_the_share_that_was_meant():
    assert scores.count(10, float(np.float32(0.3))) == 3
    assert scores.count(36, float(np.float32(0.25))) == 9
    assert scores.count(30, 0.51) == 16


@pytest.mark.parametrize(
    'family',
    beyond(
        ['gpt2', 'llama_linear'], ['llama_linear', 'roberta', 'gpt2', 't5_v1_1']
    ),
)
def test_states_are_those_of_a_model_cut_behind_the_layer(family):
    """Each layer's output, without the norm that follows the last one."""
    transformer = Transformer(kinds_test.base_of(family).config)
    row = RNG.integers(5, 200, 7).astype(np.int32)
    base = transformer.init(jax.random.key(0), row[None])['params']
    base = jax.tree.map(  # kernels begin at 0, with which nothing is read
        lambda x: x + 0.1 * RNG.normal(size=x.shape).astype(x.dtype), base
    )
    at = np.array([1]) if family in ('roberta', 't5_v1_1') else None
    short = Example(0, row[:4], np.array([9], np.int32), at)
    example = Example(0, row, np.array([9], np.int32), at)
    found = layer_states(transformer, base, [example, short], 9)
    encoder = family == 't5_v1_1'
    config = transformer.config.encoder if encoder else transformer.config
    layers = len(found)
    assert layers == config.num_layers
    for layer in range(layers):
        cut = dataclasses.replace(
            config, num_layers=layer + 1, final_norm=False
        )
        stack = base['encoder'] if encoder else base
        less = stack | {
            'layers': jax.tree.map(
                lambda x, n=layer: x[: n + 1], stack['layers']
            )
        }
        for i, e in enumerate((example, short)):
            n = e.num_tokens
            x = transformer.apply(
                {'params': base}, e.tokens[None], method='embed_tokens'
            )
            mask = np.ones((1, n, n), bool)
            mask = np.tril(mask) if config.causal else mask
            places = Places.plain(jnp.arange(n)[None])
            expected, _ = Transformer(cut).apply(
                {'params': less}, x, places, mask, method='hidden_states'
            )
            np.testing.assert_allclose(
                found[layer, i, :n], expected[0], rtol=1e-4, atol=1e-4
            )


def probe(sizes, states_of, layers=3) -> types.SimpleNamespace:
    """Devices whose examples are one number each."""

    def batch(client, count):
        return [
            Example(0, np.array([client, i], np.int32), np.array([1]))
            for i in range(min(count, sizes[client]))
        ]

    def layer_states(examples, length):
        return jnp.array(
            [[states_of(layer, e) for e in examples] for layer in range(layers)]
        )

    return types.SimpleNamespace(
        batch=batch,
        num_examples=lambda client: sizes[client],
        num_layers=layers,
        layer_states=layer_states,
    )


def test_devices_in_chunks_weighted_by_their_examples():
    """Whatever the chunks; a device with few examples has a small batch."""
    sizes = [9, 2, 5, 7, 3]

    def states_of(layer, example):
        rng = np.random.default_rng([layer, *example.query])
        return rng.normal(size=(2, 3)).astype(np.float32)

    expected = np.zeros(3)
    for client, size in enumerate(sizes):
        rows = [
            [
                states_of(layer, Example(0, np.array([client, i]), None))
                for i in range(min(4, size))
            ]
            for layer in range(3)
        ]
        expected += size * scored(rows, 'cosine')
    expected /= sum(sizes)
    setup = types.SimpleNamespace(num_clients=5, config=None)
    c = types.SimpleNamespace(
        score='cosine', order='largest', score_examples=4, score_devices=9,
        unselected='local',
    )  # fmt: skip
    for most in (8, 16, 1000):
        setup.config = types.SimpleNamespace(
            seed=0, packing=types.SimpleNamespace(max_tokens=most)
        )
        stage = stages.layer_scores(setup, probe(sizes, states_of), c)
        assert stage.steps == {8: 5, 16: 3, 1000: 1}[most]
        total = stage.init(None)
        for number in range(stage.steps):
            total, _ = stage.step(total, number)
        np.testing.assert_allclose(
            np.asarray(total) / sum(sizes), expected, rtol=1e-5
        )
