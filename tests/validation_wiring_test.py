"""Laws of validation: which prompt it scores on whom, and what it logs."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.experiment import train
from fedprompt_jax.federated.server import ServerState
from tests import recorders

# A client of three instances and one of a single one.
LOCAL = [np.array([0, 1, 2]), np.array([7])]
ROUGE_L = {0: 0.9, 1: 0.9, 2: 0.6, 7: 0.2}  # means 0.8 and 0.2
SERVER = {'prompt': jnp.full((1, 2), 3.0)}
BEST = {'prompt': jnp.full((1, 2), 5.0)}


class Scorer(recorders.Scorer):
    """Gives each instance a score of its own."""

    def rouge_l(self, progress, prompts, requests):
        return np.array([ROUGE_L.get(r.instance, 0.5) for r in requests])


@pytest.fixture(scope='module')
def validated(store):
    """The scorer, the logged line and the state after one validation."""
    scorer, run = Scorer(store), recorders.Run()
    config = fedavg_adam.get_config()
    held_out = types.SimpleNamespace(
        clients=np.arange(3), local=[np.array([4])] * 3
    )
    data = types.SimpleNamespace(
        validation=types.SimpleNamespace(clients=np.arange(2), local=LOCAL),
        held_out=held_out,
    )
    experiment = types.SimpleNamespace(
        config=config, data=data, evaluator=scorer, devices=recorders.Devices()
    )
    server = ServerState(SERVER, (), jnp.int32(2))
    stage = train.TrainState(
        server, BEST, jnp.float32(0.1), jnp.float32(9), jnp.int32(1)
    )
    stage = train.validate(experiment, run, stage)
    (line,) = run.lines
    return types.SimpleNamespace(scorer=scorer, line=line, stage=stage)


def test_the_server_s_prompt_is_scored_on_the_validation_clients(validated):
    ((_, bank, requests),) = validated.scorer.calls
    assert {r.instance for r in requests} == set(ROUGE_L)
    assert len(requests) == len(ROUGE_L)
    np.testing.assert_array_equal(bank['prompt'][0], SERVER['prompt'])
    assert {r.owner for r in requests} == {0}


def test_validation_is_the_mean_of_the_clients_means(validated):
    """A large client weighs as much as a small one."""
    assert validated.line['rouge_l'] == pytest.approx((80 + 20) / 2)
    assert validated.line['loss'] == pytest.approx((1 + 7) / 2)
    assert validated.line['clients'] == 2
    assert float(validated.stage.best_score) == pytest.approx(50)
    np.testing.assert_array_equal(validated.stage.best['prompt'], 3)


def test_the_standard_error_of_two_clients_is_half_their_difference(validated):
    """Of n clients it is the sample deviation (n - 1) over sqrt(n)."""
    assert validated.line['rouge_l_se'] == pytest.approx((80 - 20) / 2)
