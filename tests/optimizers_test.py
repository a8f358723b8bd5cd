"""Optimizers by name: what is read, what is refused and in which words."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax.federated import optimizers


@pytest.mark.parametrize(
    ('spec', 'name', 'arguments'),
    [
        ('sgd', 'sgd', {}),
        ('adam()', 'adam', {}),
        (
            'adam(b1=0.99, b2=0.999, eps=1e-8)',
            'adam',
            {'b1': 0.99, 'b2': 0.999, 'eps': 1e-8},
        ),
        (
            ' sgd( momentum = 0.9,nesterov=True )',
            'sgd',
            {'momentum': 0.9, 'nesterov': True},
        ),
        ('yogi(eps=-1)', 'yogi', {'eps': -1}),
    ],
)
def test_a_spec_is_a_name_and_arguments(spec, name, arguments):
    assert optimizers.parse(spec) == (name, arguments)


@pytest.mark.parametrize(
    'spec',
    [
        '',
        'adam(',
        '0.1',
        'adam(0.1)',
        'adam(b1=x)',
        'adam(b1=1+1j*2)',
        'optax.adam',
        'optax.adam()',
        'adam; sgd',
        'adam()()',
        '__import__("os")',
        'adam(b1=__import__("os"))',
        'a\x00b',
    ],
)
def test_what_is_no_call_is_refused_with_two_that_are(spec):
    with pytest.raises(ValueError, match='is not an optimizer') as error:
        optimizers.parse(spec)
    assert "write 'adam(b1=0.9)' or 'sgd'." in str(error.value)
    assert repr(spec) in str(error.value)


@pytest.mark.parametrize(
    ('spec', 'near'),
    [('adamm', 'adam'), ('Adam', 'adam'), ('sdg(momentum=0.9)', 'sgd')],
)
def test_an_unknown_name_is_answered_with_the_nearest(spec, near):
    with pytest.raises(ValueError, match='optax has no optimizer') as error:
        optimizers.parse(spec)
    assert f'did you mean {near!r}?' in str(error.value)


@pytest.mark.parametrize(
    'name',
    ['chain', 'clip', 'add_noise', 'x', 'scale_by_rprop', '_deprecated_dpsgd'],
)
def test_transformations_without_a_learning_rate_are_none(name):
    with pytest.raises(ValueError, match='optax has no optimizer'):
        optimizers.parse(name)


def test_an_optimizer_of_random_steps_is_refused():
    with pytest.raises(ValueError, match='same for every client and round'):
        optimizers.parse('noisy_sgd(eta=0.1)')


def test_an_unknown_argument_is_answered_with_those_there_are():
    with pytest.raises(ValueError) as error:
        optimizers.parse('sgd(beta=0.9)')
    message = str(error.value)
    assert "optax.sgd has no argument 'beta'" in message
    assert 'momentum, nesterov' in message
    assert 'learning_rate' not in message
    with pytest.raises(ValueError, match="no argument 'learning_rate'"):
        optimizers.parse('sgd(learning_rate=1.0)')


@pytest.mark.parametrize(
    ('spec', 'why'),
    [
        ("adam(b1='x')", "'int' and 'str'"),
        ('sgd(momentum=[1])', "'list'"),
        ('lbfgs', "'value', 'grad', and 'value_fn'"),
    ],
)
def test_an_optimizer_that_cannot_take_a_step_is_refused(spec, why):
    with pytest.raises(ValueError, match='takes no step') as error:
        optimizers.parse(spec)
    assert why in str(error.value)


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize(
    'name', sorted({*optimizers._optimizers()} - {'lbfgs', 'noisy_sgd'})
)
def test_every_optimizer_there_is_takes_a_step(name):
    assert np.isfinite(_first_steps(optimizers.make(name, 0.1), 1)).all()


def _first_steps(tx, count=3):
    params, steps = jnp.array([1.0, -2.0]), []
    state = tx.init(params)
    for gradient in np.random.default_rng(0).normal(size=(count, 2)):
        updates, state = tx.update(jnp.asarray(gradient), state, params)
        steps.append(np.asarray(updates))
    return np.array(steps)


@pytest.mark.parametrize(
    ('spec', 'expected'),
    [
        ('adam', optax.adam(0.3)),
        # Optax's defaults are the usual ones.
        ('adam', optax.adam(0.3, b1=0.9, b2=0.999, eps=1e-8)),
        ('adam(b1=0.99)', optax.adam(0.3, b1=0.99, b2=0.999, eps=1e-8)),
        ('sgd', optax.sgd(0.3)),
        ('sgd(momentum=0.9)', optax.sgd(0.3, momentum=0.9)),
    ],
)
def test_made_optimizers_are_optax_s_at_the_learning_rate(spec, expected):
    made = optimizers.make(spec, 0.3)
    np.testing.assert_array_equal(_first_steps(made), _first_steps(expected))


def test_sgd_is_minus_the_rate_times_the_gradient():
    gradients = np.random.default_rng(0).normal(size=(3, 2))
    steps = _first_steps(optimizers.make('sgd', 0.5))
    np.testing.assert_allclose(steps, -0.5 * gradients, rtol=1e-6)
