"""Faults and warnings of data: each at its limit, and silent below it."""

import types

import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.experiment import data_checks
from fedprompt_jax.experiment.held_out import HeldOut


def settings(**changes):
    """The shipped config with a prompt of 10 tokens."""
    config = fedavg_adam.get_config()
    changes = {k.replace('__', '.'): v for k, v in changes.items()}
    config.update_from_flattened_dict({'prompt.length': 10} | changes)
    return config


def clients(**counts):
    """A split -> so many clients of one instance each."""
    return {
        name: Clients(np.arange(n), np.arange(n + 1), {})
        for name, n in counts.items()
    }


def stored(**fields):
    """What the checks ask of a store of two instances."""
    known = {
        'objective': 'causal_lm',
        'query_lengths': np.array([20, 15]),
        'scored_lengths': np.array([5, 7]),
        'num_choices': np.array([0, 0]),
        '__len__': lambda self: 100,
    }
    return type('Store', (), known | fields)()


BOTH = np.arange(2)  # instances


def test_a_split_with_fewer_clients_than_asked_of_it_is_named():
    config = settings(
        clients_per_round=4, validation__clients=3, personalization__clients=2
    )

    def faults(**counts):
        return data_checks.too_few_clients(config, clients(**counts))

    assert faults(train=4, validation=3, test=2) == []
    (line,) = faults(train=3, validation=3, test=2)
    assert line.startswith('config.clients_per_round=4 is more than the 3 ')
    (line,) = faults(train=4, validation=2, test=2)
    assert line.startswith('config.validation.clients=3 is more than the 2 ')
    (line,) = faults(train=4, validation=3, test=1)
    assert line.startswith('config.personalization.clients=2 is more than')
    assert 'the 1 clients of the test split' in line
    config.personalization.split = 'validation'
    assert faults(train=4, validation=3, test=1) == []


@pytest.mark.parametrize(
    ('fields', 'most'),
    [
        # Prompt, the longest query, an output of 8 in place of its target.
        ({}, 10 + 20 + 8),
        # Where answers are chosen none is generated.
        ({'num_choices': np.array([2, 2])}, 10 + 20 + 5),
        ({'num_choices': np.array([2, 0])}, 10 + 20 + 5),
        # The longest query is not always that of the longest row.
        ({'scored_lengths': np.array([5, 14])}, 10 + 15 + 14),
    ],
)
def test_the_longest_row_has_prompt_query_and_the_longer_of_target_and_output(
    fields, most
):
    config = settings(evaluation__max_new_tokens=8)
    store = stored(**fields)
    assert data_checks.too_long(config, store, BOTH, most) == []
    (line,) = data_checks.too_long(config, store, BOTH, most - 1)
    assert f'trained for {most - 1} tokens, but there are 10 virtual' in line


@pytest.mark.parametrize('objective', ['masked_lm', 'seq2seq_lm'])
def test_the_targets_of_an_encoder_take_no_positions_of_it(objective):
    store = stored(objective=objective)
    assert data_checks.too_long(settings(), store, BOTH, 10 + 20) == []
    assert data_checks.too_long(settings(), store, BOTH, 10 + 19)


def test_instances_that_are_left_out_are_not_too_long():
    one = np.array([1])
    config = settings(evaluation__max_new_tokens=1)
    assert data_checks.too_long(config, stored(), one, 10 + 15 + 7) == []


def test_a_masked_model_needs_choices_everywhere():
    def faults(objective, *num_choices):
        store = stored(objective=objective, num_choices=np.array(num_choices))
        return data_checks.wordless(settings(), store, BOTH)

    assert faults('masked_lm', 2, 2) == faults('causal_lm', 2, 0) == []
    (line,) = faults('masked_lm', 2, 0)
    assert 'is a masked language model' in line and 'have free text' in line


def test_a_token_must_have_a_row_in_the_table():
    backend = types.SimpleNamespace(id_to_token=lambda i: f'token {i}')
    tokenizer = types.SimpleNamespace(backend=backend)

    def faults(largest):
        store = stored(largest_token=largest)
        return data_checks.beyond_the_table(store, tokenizer, 300)

    assert faults(299) == []
    (line,) = faults(300)
    assert "'token 300' of a text has id 300" in line


def test_the_smallest_client_is_named_where_it_has_too_few():
    def warnings(train, local, common, names=('', '')):
        return data_checks.shrunk(
            settings(
                data__client_size=60,
                personalization__train_examples=5,
                personalization__eval_examples=3,
                personalization__global_examples=4,
            ),
            HeldOut(
                np.arange(2),
                list(names),
                [np.arange(n) for n in train],
                [np.arange(n) for n in local],
                np.arange(common),
                {},
            ),
        )

    assert warnings((5, 9), (3, 3), 4) == []
    (line,) = warnings((5, 4), (3, 3), 4)
    assert line.startswith('The smallest held-out client has 4 examples')
    assert 'config.personalization.train_examples=5 asks' in line
    (line,) = warnings((5, 5), (3, 2), 4, ('ann', 'bob'))
    assert line.startswith("The smallest held-out client ('bob') has 2 exam")
    assert 'config.personalization.eval_examples=3 asks' in line
    (line,) = warnings((5, 5), (3, 3), 3)
    assert line.startswith('The global score is over 3 examples, not')


def test_truncation_is_a_warning_above_one_in_twenty():
    def warnings(queries, targets):
        cut = {'queries': queries, 'targets': targets}
        return data_checks.truncated(stored(truncated=cut))

    assert warnings(5, 5) == []  # of 100
    (line,) = warnings(6, 5)
    assert line.startswith('6 of 100 queries are longer than config.data.max_q')
    (line,) = warnings(5, 6)
    assert line.startswith('6 of 100 targets are longer than config.data.max_t')


def test_answers_that_the_tokenizer_joins_are_a_warning():
    assert data_checks.merged(stored(merged=0)) == []
    (line,) = data_checks.merged(stored(merged=3))
    assert line.startswith('The tokenizer joins 3 answers to the end')
