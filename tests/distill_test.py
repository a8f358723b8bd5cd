"""Distillation of the auxiliary model, against NumPy over plain logits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.federated.auxiliary import distillation
from fedprompt_jax.models import auxiliary
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.transformer import Transformer
from tests import fedsp_test, plain, plain_fedsp, plain_kinds
from tests.fedsp_test import DEPTH, World, four

assert four  # a fixture


@pytest.fixture(scope='module')
def examples():
    """Ragged: the longest has 19 tokens, the shortest two."""
    found = plain.random_examples(np.random.default_rng(3), (5,))
    assert len({e.num_tokens for e in found}) > 1
    return found


def states(lm, base, e) -> np.ndarray:
    """Last hidden states [n, D] of one example, alone and unpadded."""
    transformer = Transformer(lm.config)

    def call(method, *args):
        of = jax.jit(functools.partial(transformer.apply, method=method))
        return of({'params': base}, *args)

    tokens = jnp.asarray(e.tokens)[None]
    n = tokens.shape[1]
    x = call('embed_tokens', tokens)
    mask = jnp.tril(jnp.ones((1, n, n), bool))
    hidden, _ = call(
        'hidden_states', x, Places.plain(jnp.arange(n)[None]), mask
    )
    return np.asarray(hidden[0], np.float64)


@pytest.fixture(scope='module')
def models(four):
    """The full model, an auxiliary one, and that as a model of copies."""
    small = Transformer(auxiliary.config(four.config, 1, 2, shared=True))
    params = auxiliary.params(four.base, 1, 2)
    return small, params, plain_fedsp.tiled(params, DEPTH)


def value(four, models, examples, objective, padding) -> float:
    small, params, _ = models
    batch = distillation.batch_of(examples)
    full = Transformer(four.config)
    hidden = distillation.last_states(full, four.base, batch)
    logits = None
    if objective == 'full':
        logits = distillation.target_logits(full, four.base, hidden, batch)
    return float(
        distillation.loss(small, params, batch, hidden, logits, padding)
    )


def test_the_loss_is_the_mean_square_over_real_tokens(four, models, examples):
    away = [
        states(four, models[2], e) - states(four, four.base, e)
        for e in examples
    ]
    tokens = sum(map(len, away))
    expected = sum((x**2).sum() for x in away) / tokens / away[0].shape[-1]
    got = value(four, models, examples, 'hidden', padding=False)
    assert got == pytest.approx(expected, rel=1e-5)


def test_padding_counts_where_it_is_asked_for(four, models, examples):
    """Up to the longest row of the batch; it reads the text before it."""
    plain_value = value(four, models, examples, 'hidden', padding=False)
    padded = value(four, models, examples, 'hidden', padding=True)
    assert padded != pytest.approx(plain_value, rel=1e-3)
    longest = max(e.num_tokens for e in examples)
    alike = [e for e in examples if e.num_tokens == longest]
    both = (value(four, models, alike, 'hidden', p) for p in (True, False))
    assert next(both) == pytest.approx(next(both), rel=1e-6)


def test_rows_may_be_wider_than_their_text(four, models, examples):
    """More columns change neither form: they are no padding of the batch."""
    wide = [examples[0]._replace(query=np.arange(5, 45, dtype=np.int32))]
    small, params, _ = models
    batch = distillation.batch_of(examples)
    wider = distillation.batch_of([*examples, *wide])
    n = len(examples)
    cut = distillation.Batch(*(x[:n] for x in wider))
    assert cut.tokens.shape[1] > batch.tokens.shape[1]
    full = Transformer(four.config)
    for padding in (False, True):
        losses = [
            float(
                distillation.loss(
                    small,
                    params,
                    b,
                    distillation.last_states(full, four.base, b),
                    None,
                    padding,
                )
            )
            for b in (batch, cut)
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_full_objective_has_right_and_soft_answers(four, models, examples):
    """Half cross-entropy, half MSE and cross-entropy with the full model."""

    def log_p(base):
        model = TunedModel(Transformer(four.config), Nothing())
        rows = [plain_kinds.bare_logits(model, base, e) for e in examples]
        joined = np.concatenate([np.asarray(r, np.float64) for r in rows])
        return scipy.special.log_softmax(joined, axis=-1)

    teacher, student = log_p(four.base), log_p(models[2])
    labels = np.concatenate([e.target for e in examples])
    right = -student[np.arange(len(labels)), labels].mean()
    soft = -(np.exp(teacher) * student).sum(axis=-1).mean()
    error = value(four, models, examples, 'hidden', padding=False)
    got = value(four, models, examples, 'full', padding=False)
    assert got == pytest.approx(0.5 * right + 0.5 * (error + soft), rel=1e-5)


class Server:
    """The state of a server that distills, as far as it is read."""

    def __init__(self, model, closeness=None) -> None:
        self.model, self.closeness = model, closeness

    def replace(self, **fields) -> 'Server':
        return Server(**fields)


def test_steps_are_adamw_with_a_warm_up(four):
    """Three steps of NumPy's AdamW on the gradient of the plain loss."""
    world = World(
        four,
        fedsp__distill_steps=20,
        fedsp__distill_batch_size=3,
        fedsp__distill_learning_rate=0.01,
        fedsp__compare_examples=0,
    )
    (stage,) = world.algorithm.stages
    excerpt = world.excerpt(0, 1, True, True)
    inner = stage.init(Server(excerpt.params))
    theta = excerpt.params
    adam = plain_fedsp.AdamW(theta, fedsp_test.EPS, fedsp_test.DECAY)
    full = Transformer(four.config)

    def plain_loss(theta, batch, hidden):
        return distillation.loss(
            full, plain_fedsp.tiled(theta, DEPTH), batch, hidden, None, False
        )

    gradient = jax.jit(jax.grad(plain_loss))
    rates = []
    for number in range(3):
        inner, metrics = stage.step(inner, number)
        batch = distillation.batch_of(fedsp_test.batches(number, 1, 3)[0])
        hidden = distillation.last_states(full, four.base, batch)
        rate = 0.01 * plain_fedsp.factor(number, 1, 20, 2)
        theta = adam.step(theta, gradient(theta, batch, hidden), rate)
        fedsp_test.close(inner[0], theta)
        rates.append(metrics['learning_rate'])
    np.testing.assert_allclose(rates, [0.005, 0.01, 0.01], rtol=1e-6)
    state = stage.finish(Server(excerpt.params), inner)
    assert fedsp_test.same_bits(state.model, inner[0])
    assert not fedsp_test.same_bits(state.model, excerpt.params)


def test_the_full_model_reads_each_batch_once(four, monkeypatch):
    world = World(four, fedsp__distill_steps=4, fedsp__distill_batch_size=3)
    (stage,) = world.algorithm.stages
    calls = []
    original = distillation.last_states

    def counted(transformer, *args):
        calls.append(transformer.config.cell)
        return original(transformer, *args)

    monkeypatch.setattr(distillation, 'last_states', counted)
    inner = stage.init(Server(world.excerpt(0, 1, True, True).params))
    stage.step(inner, 0)
    stage.step(inner, 1)
    assert calls.count(0) == 2


def test_it_saves_a_few_times_and_not_each_step(four):
    for steps, every in ((400, 20), (10, 1)):
        (stage,) = World(four, fedsp__distill_steps=steps).algorithm.stages
        assert stage.save_every == every


def test_no_stage_without_steps_or_without_a_small_model(four):
    full = {'fedsp__client_model': 'full', 'fedsp__turn': 'prompt'}
    unmeasured = {'fedsp__distill_steps': 0, 'fedsp__compare_examples': 0}
    for changes in (unmeasured, full):
        world = World(four, **{'fedsp__distill_steps': 9} | changes)
        assert not world.algorithm.stages
    (measures,) = World(four, fedsp__distill_steps=0).algorithm.stages
    assert measures.steps == 0


def test_a_batch_is_as_wide_as_a_few_sizes():
    widths = {
        distillation.batch_of(
            plain.random_examples(np.random.default_rng(s), (4,))
        ).tokens.shape[1]
        for s in range(8)
    }
    assert widths == {32}


def test_closeness_is_that_of_held_out_examples(four, examples):
    """1 and 0 for the whole model; it is asked for as many as config says."""
    world = World(four, fedsp__distill_steps=2)
    asked = []

    def held_out(count):
        asked.append(count)
        return examples

    excerpt = world.excerpt(0, DEPTH, True, True)
    setup = type('Setup', (), {})()
    setup.probe = type('Probe', (), {'held_out': staticmethod(held_out)})()
    setup.config = world.config
    near = distillation.measured(setup, excerpt, excerpt.params, 7)
    tokens = sum(e.num_target_tokens for e in examples)
    np.testing.assert_allclose(near, [0.0, 1.0, tokens], atol=1e-5)
    assert asked == [7]
    part = world.excerpt(0, 1, True, True)
    kl, agreement, _ = distillation.measured(setup, part, part.params, 7)
    assert kl > 0.01 and agreement < 1
