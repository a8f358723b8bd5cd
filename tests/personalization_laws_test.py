"""Laws of stage 2: what holds a prompt back, and the limits of mixing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import fedavg_adam
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.federated.client import LocalResult
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.transformations import pull_to_start
from fedprompt_jax.peft.prompt import Prompt
from fedprompt_jax.personalization import Setup, fine_tune
from fedprompt_jax.personalization.fine_tune import mix
from tests import plain


def prompt(seed):
    bank = plain.random_bank(np.random.default_rng(seed), 1)
    return jax.tree.map(lambda x: x[0], bank)


def pulled(strength, params, center, grads):
    tx = pull_to_start(strength)
    updates, _ = tx.update(grads, tx.init(center), params)
    return updates


def test_no_strength_is_no_pull():
    grads = prompt(0)
    out = pulled(0.0, prompt(1), prompt(2), grads)
    np.testing.assert_array_equal(out['prompt'], grads['prompt'])


@pytest.mark.parametrize('strength', [1e-3, 0.5, 20.0])
def test_the_pull_is_the_gradient_of_the_penalty(strength):
    params, center = prompt(1), prompt(2)

    def penalty(params):
        squares = (params['prompt'] - center['prompt']) ** 2
        return strength / 2 * squares.sum()

    none = optax.tree.zeros_like(params)
    out = pulled(strength, params, center, none)
    plain.assert_close(out, jax.grad(penalty)(params), 1e-6)


def test_the_pull_goes_before_the_optimizer():
    """As in the penalised objective: Adam sees the sum of both gradients."""
    params, center, grads = prompt(1), prompt(2), prompt(3)
    adam = optax.adam(0.1)
    tx = optax.chain(pull_to_start(0.5), adam)
    updates, _ = tx.update(grads, tx.init(center), params)
    total = optax.tree.add(
        grads, optax.tree.scale(0.5, optax.tree.sub(params, center))
    )
    expected, _ = adam.update(total, adam.init(params), params)
    plain.assert_close(updates, expected, 1e-6)


def test_a_strong_pull_stays_at_the_global_prompt(model, lm):
    """SGD of rate 1 / lambda rests where |P - center| = |gradient| / lambda."""
    center = prompt(4)
    bank = replicate(center, 1)
    simulation = PackedSimulation(
        model, lm.base, plain.PACKER, 'sequence', plain.same
    )
    rng = np.random.default_rng(5)
    examples = plain.random_examples(rng, (4,))
    _, grads = simulation.gradients(bank, examples)
    distances = []
    strengths = (1e2, 1e3, 1e4)
    for strength in strengths:
        tx = optax.chain(pull_to_start(strength), optax.sgd(1 / strength))
        start = jax.vmap(tx.init)(bank)
        local = simulation.local_train(tx, bank, start, [examples] * 4)
        moved = optax.tree.sub(local.bank, bank)
        distances.append(float(optax.tree.norm(moved)))
    expected = float(optax.tree.norm(grads)) / np.array(strengths)
    np.testing.assert_allclose(distances, expected, rtol=0.05)


def test_mixing_runs_from_the_global_to_the_personal_prompt():
    personal = plain.random_bank(np.random.default_rng(6), 4)
    shared = prompt(7)
    np.testing.assert_array_equal(
        mix(0.0, personal, shared)['prompt'],
        replicate(shared, 4)['prompt'],
    )
    np.testing.assert_array_equal(
        mix(1.0, personal, shared)['prompt'], personal['prompt']
    )
    np.testing.assert_allclose(
        mix(0.25, personal, shared)['prompt'],
        0.25 * personal['prompt'] + 0.75 * shared['prompt'],
        rtol=1e-6,
    )


def test_a_prompt_of_length_0_is_the_bare_model(model, lm):
    """In loss and in greedy text, by the model's own call on plain tokens."""
    rng = np.random.default_rng(8)
    examples = plain.random_examples(rng, (2, 3))
    none = {'prompt': jnp.zeros((2, 0, 32))}
    model = dataclasses.replace(model, kind=Prompt(0))
    simulation = PackedSimulation(
        model,
        lm.base,
        Packer(0, (Shape(64, 48, (4,)),)),
        'token',
        plain.same,
    )
    losses, grads = simulation.gradients(none, examples)
    assert grads['prompt'].shape == (2, 0, 32)

    @jax.jit
    def log_p(tokens):
        return jax.nn.log_softmax(
            model.transformer.apply({'params': lm.base}, tokens)
        )

    def bare(tokens):  # right padding hides behind the causal mask
        padded = np.zeros((1, 32), np.int32)
        padded[0, : len(tokens)] = tokens
        return np.asarray(log_p(padded))[0, : len(tokens)]

    for owner, loss in enumerate(losses):
        own = [
            -bare([*e.query, *e.target])[len(e.query) - 1 :][i, label]
            for e in plain.of(owner, examples)
            for i, label in enumerate(e.target)
        ]
        assert float(loss) == pytest.approx(np.mean(own), rel=1e-5)
    queries = [Query(e.owner, e.query) for e in examples]
    generate = Generator(
        model,
        lm.base,
        eos_ids=(299,),
        max_new_tokens=4,
        batch_size=4,
        place_rows=plain.same,
    )
    for query, output in zip(queries, generate(none, queries), strict=True):
        tokens = list(query.tokens)
        while len(tokens) < len(query.tokens) + 4:
            tokens.append(int(bare(tokens)[-1].argmax()))
        assert tokens[len(query.tokens) :] == list(output)


# Rows of a prompt that stay as they are.


class Gradients:
    """A simulation whose gradients are all 1."""

    def local_train(self, tx, bank, opt_state, steps):
        for _ in steps:
            grads = jax.tree.map(jnp.ones_like, bank)
            updates, opt_state = jax.vmap(tx.update)(grads, opt_state, bank)
            bank = optax.apply_updates(bank, updates)
        return LocalResult(bank, opt_state, None, None, None)


def personalized(rows: str, optimizer: str, epochs: int = 2) -> np.ndarray:
    """Two clients' prompts [2, P, D] after epochs from the prompt of seed 4."""
    config = fedavg_adam.get_config()
    config.personalization.update(
        rows=rows, optimizer=optimizer, learning_rate=0.1, l2=0.5
    )
    method = fine_tune.make(Setup(config, Gradients(), 2))
    state = method.init(prompt(4))
    for _ in range(epochs):
        state, _ = method.epoch(state, [None, None])
    return np.asarray(state.bank['prompt'])


@pytest.mark.parametrize('optimizer', ['adamw(weight_decay=0.5)', 'sgd'])
@pytest.mark.parametrize(
    ('rows', 'frozen'),
    [('first(count=2)', slice(2, None)), ('last(count=1)', slice(-1))],
)
def test_rows_that_are_frozen_stay_those_of_the_global_prompt(
    rows, frozen, optimizer
):
    """And the others move as if all did: gradients are by element here."""
    start = np.asarray(prompt(4)['prompt'])
    trained = personalized(rows, optimizer)
    everything = personalized('all', optimizer)
    others = np.ones(len(start), bool)
    others[frozen] = False
    assert 0 < others.sum() < len(start)
    for client in range(2):
        np.testing.assert_array_equal(trained[client][frozen], start[frozen])
        np.testing.assert_array_equal(
            trained[client][others], everything[client][others]
        )
        assert np.abs(trained[client] - start)[others].min() > 1e-3


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'personalization.rows': 'frist(count=2)'}, "did you mean 'first'"),
        ({'personalization.rows': 'first(count=0)'}, 'a whole number from 1'),
        ({'personalization.rows': 'first(count=2.5)'}, 'a whole number from 1'),
        ({'personalization.rows': 'last'}, 'last'),
        ({'personalization.rows': 'last(count=10)'}, 'fewer rows than'),
        (
            {'personalization.rows': 'last(count=2)', 'peft': 'lora'},
            "needs config.peft='prompt'",
        ),
    ],
)
def test_rows_that_cannot_be_trained_are_faults(changes, says):
    config = fedavg_adam.get_config()
    assert not list(fine_tune.faults(config))
    config.update_from_flattened_dict(changes)
    (line,) = fine_tune.faults(config)
    assert says in line and 'config.personalization.rows=' in line
