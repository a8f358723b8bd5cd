"""What a round costs, counted by hand for tiny models."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.examples import Example
from fedprompt_jax.federated import ledger
from fedprompt_jax.models import families
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.full import Full
from fedprompt_jax.peft.prompt import Prompt
from tests import tiny, tiny_families

P = 3
# tiny.make_checkpoint: width 32, 4 heads of 8, of which 2 for keys and values;
# an MLP of 64 with a gate; two norms of 32. Two layers.
LLAMA_LAYERS = 2 * (32 * 32 + 2 * (32 * 16) + 32 * 32 + 3 * (32 * 64) + 2 * 32)
LLAMA_TABLE = 300 * 32  # what a target's logits are multiplied by
# Owner 0 has two examples and owner 1 one: 4 + 2, 2 + 0 and 3 + 1 tokens that
# are read (the last target is not), and 3 + 1 + 2 targets.
SIZES = ((0, 4, 3), (0, 2, 1), (1, 3, 2))
READ, TARGETS = 6 + 2 + 4, 3 + 1 + 2


def example(owner, query, target, at=None):
    places = None if at is None else np.zeros(target, int)
    return Example(owner, np.zeros(query, int), np.zeros(target, int), places)


@pytest.fixture(scope='module')
def llama(tmp_path_factory):
    folder = tiny.make_checkpoint(tmp_path_factory.mktemp('llama'))
    fields = json.loads((folder / 'config.json').read_text())
    return Transformer(families.model_config(fields))


@pytest.fixture(scope='module')
def roberta():
    ids = {'vocab_size': 300, 'bos_token_id': 1, 'eos_token_id': 2}
    fields = tiny_families.CONFIGS['roberta'] | ids | {'pad_token_id': 3}
    return Transformer(families.model_config(fields))


@pytest.mark.parametrize(
    ('kind', 'training', 'passes', 'prompts'),
    [
        (Prompt(P), True, 2, 2),  # forward, and back to the prompt
        (Prompt(P), False, 1, 2),
        (Full(), True, 3, 0),  # and back to the weights
        (Full(), False, 1, 0),
    ],
)
def test_a_token_passes_once_forward_and_again_for_each_gradient(
    kind, training, passes, prompts, llama
):
    step = [example(*size) for size in SIZES]
    tokens = READ + prompts * P  # a prompt once for each of the two owners
    work = tokens * LLAMA_LAYERS + TARGETS * LLAMA_TABLE
    assert ledger.compute(TunedModel(llama, kind), [step], training) == {
        'tokens': tokens,
        'flops': 2 * passes * work,
    }


def test_training_is_what_is_counted_unless_said_otherwise(llama):
    model, step = TunedModel(llama, Prompt(P)), [example(0, 4, 3)]
    assert ledger.compute(model, [step]) == ledger.compute(model, [step], True)


def test_a_prompt_is_counted_again_in_every_step(llama):
    steps = [[example(*size)] for size in SIZES]
    found = ledger.compute(TunedModel(llama, Prompt(P)), iter(steps))
    assert found['tokens'] == READ + 3 * P
    work = (READ + 3 * P) * LLAMA_LAYERS + TARGETS * LLAMA_TABLE
    assert found['flops'] == 4 * work


def test_a_prompt_that_reads_the_text_is_counted_for_every_example(roberta):
    """A masked model: its targets are no further tokens."""
    step = [example(*size, at=0) for size in SIZES]
    found = ledger.compute(TunedModel(roberta, Prompt(P)), [step])
    tokens = (4 + 2 + 3) + 3 * P
    # Four kernels of attention and two of the MLP with their biases, and two
    # norms, in three layers; a dense layer and the table for targets.
    layers = 3 * (
        4 * (32 * 32 + 32) + (32 * 48 + 48) + (48 * 32 + 32) + 2 * (32 + 32)
    )
    work = tokens * layers + TARGETS * (32 * 32 + 300 * 32)
    assert found == {'tokens': tokens, 'flops': 4 * work}


def test_every_client_gets_a_tree_and_returns_a_tree():
    params = {'prompt': jnp.zeros((P, 32), jnp.float32)}
    each = P * 32 * 4
    assert ledger.tree_bytes(params) == each
    assert ledger.traffic(ledger.Sent(params, (params, params)), 5) == {
        'bytes_down': 5 * each,
        'bytes_up': 5 * 2 * each,
    }


def test_bytes_are_those_of_every_leaf_in_its_own_dtype():
    params = {'a': jnp.zeros((2, 3), jnp.float32), 'b': jnp.zeros(5, jnp.int8)}
    assert ledger.tree_bytes(params) == 2 * 3 * 4 + 5


def test_pooled_data_are_sent_nowhere():
    nothing = {'bytes_down': 0, 'bytes_up': 0}
    assert ledger.traffic(ledger.Sent(None, None), 1) == nothing
