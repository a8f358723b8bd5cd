"""Laws of learning rates by round, against Optax's schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax.federated import optimizers, schedules

ROUNDS = 12


def factors(spec):
    factor = schedules.make(spec, ROUNDS)
    return [factor(n) for n in range(ROUNDS + 3)]


@pytest.mark.parametrize(
    ('spec', 'theirs'),
    [
        ('constant', optax.constant_schedule(1.0)),
        ('linear', optax.linear_schedule(1.0, 0.0, ROUNDS)),
        ('linear(end=0.25)', optax.linear_schedule(1.0, 0.25, ROUNDS)),
        ('cosine', optax.cosine_decay_schedule(1.0, ROUNDS)),
        ('cosine(end=0.2)', optax.cosine_decay_schedule(1.0, ROUNDS, 0.2)),
        (
            'exponential(decay=0.8, floor=0.3)',
            optax.exponential_decay(1.0, 1, 0.8, end_value=0.3),
        ),
    ],
)
def test_a_schedule_is_optax_s(spec, theirs):
    expected = [float(theirs(n)) for n in range(ROUNDS + 3)]
    np.testing.assert_allclose(factors(spec), expected, atol=1e-6)


def test_a_warmup_rises_to_the_whole_rate_and_shortens_the_rest():
    assert factors('linear(warmup=4)')[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    later = optax.linear_schedule(1.0, 0.0, ROUNDS - 4)
    np.testing.assert_allclose(
        factors('linear(warmup=4)')[4:],
        [float(later(n)) for n in range(ROUNDS - 1)],
        atol=1e-6,
    )
    assert factors('constant(warmup=2)')[:4] == [0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize('spec', ['adam(b1=0.5, eps=1e-3)', 'sgd', 'yogi'])
def test_a_rate_that_is_state_is_the_rate(spec):
    params = {'p': jnp.array([[1.0, -2.0], [0.5, 3.0]])}
    grads = {'p': jnp.array([[0.3, 4.0], [-1.0, 2.0]])}
    plain = optimizers.make(spec, 0.07)
    scheduled = optimizers.make_scheduled(spec, 5.0)
    expected, _ = plain.update(grads, plain.init(params), params)
    state = jax.vmap(scheduled.init)(params)
    state = optimizers.with_settings(state, {'learning_rate': 0.07})
    got, _ = jax.vmap(scheduled.update)(grads, state, params)
    each, _ = jax.vmap(plain.update)(
        grads, jax.vmap(plain.init)(params), params
    )
    np.testing.assert_allclose(got['p'], each['p'], rtol=1e-6)
    assert optax.tree.norm(expected) > 0
    # A constant rate is no state: nothing is set.
    assert jax.tree.structure(
        optimizers.with_settings(plain.init(params), {'learning_rate': 9.0})
    ) == jax.tree.structure(plain.init(params))


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ('cosin', "did you mean 'cosine'"),
        ('linear(start=1)', "has no argument 'start'"),
        ('exponential(decay=1.5)', r'decay=1.5 must be in \(0, 1\]'),
        ('constant(warmup=-1)', 'warmup=-1 must be a number of rounds'),
        ('constant(warmup=0.5)', 'warmup=0.5 must be a number of rounds'),
        ('linear(0.5)', "is not a schedule; write 'constant'"),
    ],
)
def test_what_is_no_schedule(spec, message):
    with pytest.raises(ValueError, match=message):
        schedules.make(spec, ROUNDS)


def test_which_schedules_read_the_number_of_rounds():
    assert schedules.is_constant('constant')
    assert not schedules.is_constant('constant(warmup=2)')
    ends = {s for s in schedules.NAMES if schedules.depends_on_rounds(s)}
    for name in schedules.NAMES:
        short, long = (schedules.make(name, n) for n in (5, 50))
        differs = any(short(n) != long(n) for n in range(5))
        assert (name in ends) == differs
