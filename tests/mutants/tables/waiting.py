"""Mistakes in what a round dispatches ahead, and in how its end is read."""

from tests.mutants.mutation import Mutation

_CLIENT = 'fedprompt_jax/federated/client.py'
_PREPARED = 'fedprompt_jax/federated/prepared.py'
_PACKED = 'fedprompt_jax/federated/packed.py'
_SCANNED = 'fedprompt_jax/federated/scanned.py'
_ONE_ROUND = 'fedprompt_jax/experiment/one_round.py'
_PERSONALIZE = 'fedprompt_jax/experiment/personalize.py'
_ONE_BEHIND = 'fedprompt_jax/evaluation/one_behind.py'
_UNNOTICED = (
    'tests/algorithm_contract_test.py'
    '::test_a_client_that_is_lost_does_not_go_unnoticed'
)
_SCAN = (
    'tests/simulation_test.py::test_steps_in_one_program_are_steps_one_by_one'
)

MUTATIONS = (
    # --- A client that is lost -------------------------------------------
    Mutation(
        'a-lost-client-goes-unnoticed-while-others-are-finite',
        _PREPARED,
        '(finite_owners(before) & ~finite_owners(after)).any()',
        '(finite_owners(before) & ~finite_owners(after)).all()',
        'A diverging client makes those that share its rows drop out, too.',
        (_UNNOTICED,),
    ),
    Mutation(
        'what-clients-keep-may-be-nan',
        _ONE_ROUND,
        "sound = finite and sound and np.isfinite(metrics['loss'])",
        "sound = finite and np.isfinite(metrics['loss'])",
        'Ditto: who shares rows with a lost client keeps an older prompt.',
        (_UNNOTICED,),
    ),
    Mutation(
        'a-round-s-second-try-shares-rows-again',
        _ONE_ROUND,
        'drawn, experiment.algorithm.takes, alone=True',
        'drawn, experiment.algorithm.takes, alone=False',
        'A diverging client ends the run.',
        (_UNNOTICED,),
    ),
    Mutation(
        'a-second-try-takes-the-rows-of-the-first',
        _PACKED,
        '        examples = plain(examples)\n        alone = alone or',
        '        alone = alone or',
        'A diverging client ends the run.',
        (_UNNOTICED,),
    ),
    Mutation(
        'an-epoch-has-no-second-try',
        _PERSONALIZE,
        'if lost and share_rows(steps):',
        'if lost and not share_rows(steps):',
        'One diverging client makes all of them drop out of stage 2.',
        (
            'tests/personalize_wiring_test.py'
            '::test_a_client_that_diverges_is_lost_alone',
        ),
    ),
    # --- What is read, and when ------------------------------------------
    Mutation(
        'a-round-waits-before-its-end',
        _ONE_ROUND,
        '            all_finite(server),\n',
        '            bool(all_finite(server)),\n',
        'An accelerator is idle while the host looks at what it has computed.',
        (
            'tests/waiting_test.py'
            '::test_a_round_is_read_once_whatever_the_algorithm',
        ),
    ),
    Mutation(
        'batches-are-packed-when-they-are-needed',
        _ONE_ROUND,
        '        experiment.cohort(number),\n'
        '        experiment.algorithm.takes,\n',
        '        experiment.cohort(number),\n        (),\n',
        'An accelerator is idle while rows are packed, and at every check.',
        (
            'tests/waiting_test.py'
            '::test_a_round_is_read_once_whatever_the_algorithm',
        ),
    ),
    Mutation(
        'a-number-that-comes-later-is-an-array',
        'fedprompt_jax/federated/later.py',
        'np.asarray(self.compute(self.arrays), dtype)',
        'np.asarray(self.arrays, dtype)',
        'metrics.jsonl has arrays in the place of means.',
        ('tests/doctests_test.py::test_the_examples_of_a_module[later]',),
    ),
    Mutation(
        'batches-of-an-evaluation-come-back-in-another-order',
        _ONE_BEHIND,
        'waiting.pop(0)',
        'waiting.pop()',
        'An example gets the answer of another one.',
        ('tests/doctests_test.py::test_the_examples_of_a_module[one_behind]',),
    ),
    # --- Whose memory is written over ------------------------------------
    Mutation(
        'local-training-writes-over-where-it-started',
        _CLIENT,
        'bank, opt_state = _copies((bank, opt_state))',
        'bank, opt_state = bank, opt_state',
        'The displacement of a client is read from memory that is gone.',
        (
            'tests/simulation_test.py'
            '::test_what_local_training_starts_from_may_be_read_after_it',
        ),
    ),
    # --- Grids that are prepared -----------------------------------------
    Mutation(
        'grids-of-other-rows-are-taken',
        _PACKED,
        'if examples.packing == self._packing:',
        'if examples.packing is not None:',
        'A batch is weighed by the loss of another simulation.',
        (
            'tests/simulation_test.py'
            '::test_a_batch_prepared_for_other_rows_is_packed_again',
        ),
    ),
    Mutation(
        'the-first-gradients-are-those-of-the-last-step',
        _SCANNED,
        'jnp.where(number == 0, g, f)',
        'jnp.where(number >= 0, g, f)',
        'The predicted change of a round is that of another prompt.',
        (_SCAN,),
    ),
    Mutation(
        'an-absent-client-steps-in-a-scan',
        _SCANNED,
        'tx, bank, opt_state, losses, grads, present\n',
        'tx, bank, opt_state, losses, grads, jnp.ones_like(present)\n',
        'Adam moves a client that has no batch by its momentum.',
        (_SCAN,),
    ),
)
