"""The contract of every personalization method, whoever adds it.

A file in fedprompt_jax/personalization is tested here unasked.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax import personalization
from fedprompt_jax.bank.owners import num_owners, replicate
from fedprompt_jax.data.examples import Example
from fedprompt_jax.personalization import Setup
from tests import recorders

GLOBAL = {'prompt': jnp.full((3, 2), 7.0), 'more': jnp.full((4,), 2.0)}
CLIENTS = 3
STEPS = [
    [Example(c, np.array([1, 2]), np.array([3])) for c in range(CLIENTS)]
] * 2


@pytest.fixture(params=personalization.names())
def method(request):
    config = fedavg_adam.get_config()
    config.personalization.method = request.param
    setup = Setup(config, recorders.Simulation(), CLIENTS)
    return personalization.get(request.param).make(setup)


def test_every_client_starts_from_the_global_prompt(method):
    state = method.init(GLOBAL)
    for ours, start in zip(
        jax.tree.leaves(state.bank),
        jax.tree.leaves(replicate(GLOBAL, CLIENTS)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, start)


def test_an_epoch_trains_every_client_and_keeps_the_form_of_the_state(method):
    """So that a checkpoint of one epoch is restored like that of another."""
    before = method.init(GLOBAL)
    after, local = method.epoch(before, STEPS)
    shapes = [jax.tree.map(jnp.shape, state) for state in (before, after)]
    assert shapes[0] == shapes[1]
    moved = [
        np.any(np.reshape(a != b, (CLIENTS, -1)), axis=1)
        for a, b in zip(
            jax.tree.leaves(before.bank),
            jax.tree.leaves(after.bank),
            strict=True,
        )
    ]
    assert np.any(moved, axis=0).all()
    assert local.losses.shape == (len(STEPS), CLIENTS)


def test_answers_are_prompts_of_all_clients(method):
    state, _ = method.epoch(method.init(GLOBAL), STEPS)
    answers = [
        *method.answers(state, GLOBAL), *method.last_answers(state, GLOBAL)
    ]  # fmt: skip
    assert answers
    rows = [(a.label, a.alpha) for a in answers]
    assert len(set(rows)) == len(rows)
    for answer in answers:
        assert answer.label and isinstance(answer.label, str)
        by_example = answer.route is not None and math.isnan(answer.alpha)
        assert by_example or 0 <= answer.alpha <= 1
        if not answer.shared and not answer.bare:
            assert num_owners(answer.prompts) == CLIENTS
            like = jax.tree.map(jnp.shape, state.bank)
            assert jax.tree.map(jnp.shape, answer.prompts) == like


@pytest.mark.parametrize('name', personalization.names())
def test_the_shipped_config_is_right_for_every_method(name):
    config = fedavg_adam.get_config()
    config.personalization.method = name
    assert list(personalization.faults(config)) == []
