"""Mistakes in algorithms, aggregates, schedules and what clients keep."""

from tests.mutants.mutation import Mutation

_A = 'fedprompt_jax/algorithms'
_F = 'fedprompt_jax/federated'
_AGGREGATES = f'{_F}/aggregates.py'
_SCHEDULES = f'{_F}/schedules.py'
_STORE = f'{_F}/client_store.py'
_ROWS = f'{_F}/client_rows.py'
_CLIENTS = 'fedprompt_jax/experiment/clients.py'
_PROOFS = 'tests/algorithm_proofs_test.py::'
_CONTRACT = 'tests/algorithm_contract_test.py::'
_SUMS = 'tests/aggregates_test.py::'
_RATES = 'tests/schedules_test.py::'
_KEPT = 'tests/client_store_test.py::'
_RUNS = 'tests/clients_test.py::'

_VIEWS = 'tests/views_test.py::'
_WITHIN = 'fedprompt_jax/data/within.py'

MUTATIONS = (
    Mutation(
        'validation-examples-are-those-of-test',
        _WITHIN,
        "'validation': second & ~first, 'test': first",
        "'validation': first, 'test': first",
        'The prompt is chosen on what it is scored on.',
        (_VIEWS + 'test_the_parts_of_a_client_are_disjoint_and_complete',),
    ),
    Mutation(
        'held-out-examples-are-trained-on',
        _WITHIN,
        "{'train': ~second,",
        "{'train': ~first,",
        'Validation examples are trained on.',
        (_VIEWS + 'test_the_parts_of_a_client_are_disjoint_and_complete',),
    ),
    Mutation(
        'the-same-examples-are-held-out-for-every-seed',
        _WITHIN,
        "randomness.generator(seed, 'within')",
        "randomness.generator(0, 'within')",
        'Seeds say nothing of the spread over test examples.',
        (_VIEWS + 'test_which_examples_are_held_out_is_drawn_by_the_seed',),
    ),
    Mutation(
        'each-of-two-parts-gets-the-whole-share',
        _WITHIN,
        'np.rint(sizes * share / 2)',
        'np.rint(sizes * share)',
        'Clients train on less than the config says.',
        (_VIEWS + 'test_validation_and_test_get_half_of_the_share_each',),
    ),
    Mutation(
        'clients-answer-with-what-the-first-ones-keep',
        'fedprompt_jax/experiment/personalize.py',
        'ids = experiment.data.held_out.clients\n    prompts = clients',
        'ids = experiment.data.held_out.clients * 0\n    prompts = clients',
        'Scores are of the prompts of others.',
        (_VIEWS + 'test_the_prompt_of_the_client_is_scored',),
    ),
    Mutation(
        'clients-in-no-cohort-are-not-counted',
        'fedprompt_jax/experiment/personalize.py',
        'if never and run.writes:',
        'if False:',
        'What nobody has trained seems to be what clients keep.',
        (_VIEWS + 'test_clients_that_were_in_no_cohort_are_counted',),
    ),
    Mutation(
        'clients-personalize-on-the-scored-examples',
        'fedprompt_jax/experiment/held_out.py',
        "train = [parts['train'][c][: wanted.train] for c in chosen]",
        'train = [parts[wanted.split][c][: wanted.train] for c in chosen]',
        'Test examples are trained on.',
        (_VIEWS + 'test_nothing_that_is_scored_is_trained_on',),
    ),
    Mutation(
        'the-correction-has-the-other-sign',
        f'{_A}/scaffold.py',
        'optax.tree.sub(state.control, clients)  # c - c_i',
        'optax.tree.sub(clients, state.control)  # c - c_i',
        'Clients drift further apart.',
        (_PROOFS + 'test_scaffold_is_its_definition',),
    ),
    Mutation(
        'a-variate-of-option-ii-keeps-the-correction',
        f'{_A}/scaffold.py',
        'new = optax.tree.sub(slope, correction)',
        'new = slope',
        'Variates are not those of the paper after the first round.',
        (_PROOFS + 'test_scaffold_is_its_definition',),
    ),
    Mutation(
        'the-server-s-variate-is-the-mean-over-the-cohort',
        f'{_A}/scaffold.py',
        '/ setup.num_clients',
        '/ len(cohort.clients)',
        'The variate moves N / C times too far.',
        (_PROOFS + 'test_the_variate_of_all_clients_is_the_mean_of_theirs',),
    ),
    Mutation(
        'option-i-reads-the-first-batch',
        f'{_A}/scaffold.py',
        'gradients(start, cohort.examples)[1]',
        'gradients(start, cohort.steps[0])[1]',
        'Variates are noisier than those of the paper.',
        (_PROOFS + 'test_scaffold_is_its_definition',),
    ),
    Mutation(
        'a-dropped-client-s-variate-is-kept',
        f'{_A}/scaffold.py',
        'new = owners.where(finite, new, clients)',
        'pass',
        'c becomes NaN.',
        (_CONTRACT + 'test_a_client_that_diverges_is_dropped_and_counted',),
    ),
    Mutation(
        'variates-are-sent-for-nothing',
        f'{_A}/scaffold.py',
        'both_ways(lambda state: (state.params, state.control))',
        'both_ways(lambda state: state.params)',
        'SCAFFOLD seems as cheap as FedAvg.',
        (_RUNS + 'test_clients_of_later_rounds_read_what_earlier_ones_kept',),
    ),
    Mutation(
        'a-correction-is-taken-away',
        f'{_F}/transformations.py',
        'jax.tree.map(jnp.add, grads, correction), correction',
        'jax.tree.map(jnp.subtract, grads, correction), correction',
        'Control variates push the wrong way.',
        (
            'tests/transformations_test.py::test_a_correction_is_added_to_the_'
            'gradient_of_each_owner',
        ),
    ),
    Mutation(
        'a-mask-hides-everything-at-first',
        f'{_F}/transformations.py',
        'flags or _like(1.0), update',
        'flags or _like(0.0), update',
        'Nothing is trained.',
        ('tests/transformations_test.py::test_both_do_nothing_at_first',),
    ),
    Mutation(
        'ditto-pulls-to-where-the-client-was',
        f'{_A}/ditto.py',
        'clients, (center, opt_state)',
        'clients, jax.vmap(personal_tx.init)(clients)',
        'Personal prompts never meet the global one.',
        (_PROOFS + 'test_ditto_is_its_definition',),
    ),
    Mutation(
        'ditto-s-tokens-are-fedavg-s',
        f'{_A}/ditto.py',
        'metrics[key] *= 2',
        'metrics[key] *= 1',
        'Ditto seems as cheap as FedAvg.',
        (_CONTRACT + 'test_its_tokens_and_bytes_are_those_of_the_plan',),
    ),
    Mutation(
        'clients-of-ditto-answer-with-the-global-prompt',
        f'{_A}/ditto.py',
        'prompts=lambda state, clients: clients',
        'prompts=None',
        'Personalization is measured on the global prompt.',
        (_CONTRACT + 'test_clients_that_keep_a_prompt_answer_with_it',),
    ),
    Mutation(
        'local-training-starts-from-the-server-again',
        f'{_A}/local.py',
        'return state._replace(round=state.round + 1), local.bank, metrics',
        'return state._replace(round=state.round + 1), clients, metrics',
        'A client forgets what it has learnt.',
        (_PROOFS + 'test_local_training_is_optax_on_what_each_client_keeps',),
    ),
    Mutation(
        'the-inner-step-climbs',
        f'{_A}/per_fedavg.py',
        'optax.tree.add_scale(bank, -rate, first)',
        'optax.tree.add_scale(bank, rate, first)',
        'The objective is another one.',
        (_PROOFS + 'test_per_fedavg_is_its_definition',),
    ),
    Mutation(
        'both-gradients-are-of-the-first-batch',
        f'{_A}/per_fedavg.py',
        'self.inner.gradients(inner, batches[1])',
        'self.inner.gradients(inner, batches[0])',
        'The gradient is biased.',
        (_PROOFS + 'test_per_fedavg_is_its_definition',),
    ),
    Mutation(
        'the-second-order-term-is-twice-as-large',
        f'{_A}/per_fedavg.py',
        '-rate / (2 * delta)',
        '-rate / delta',
        'The objective is another one.',
        (_PROOFS + 'test_per_fedavg_is_its_definition',),
    ),
    Mutation(
        'mu-is-half-of-what-the-config-says',
        f'{_A}/fedprox.py',
        'pull_to_start(setup.config.fedprox.mu)',
        'pull_to_start(setup.config.fedprox.mu / 2)',
        'A proximal term of another strength.',
        (_PROOFS + 'test_fedprox_is_sgd_on_the_loss_and_the_pull',),
    ),
    Mutation(
        'reptile-with-any-server-optimizer',
        f'{_A}/reptile.py',
        "if config.server.optimizer != 'sgd':",
        "if config.server.optimizer == 'adam':",
        'What is called Reptile is FedAdam.',
        ('tests/config_test.py::test_faults_between_two_keys',),
    ),
    Mutation(
        'arguments-of-an-aggregate-are-ignored',
        f'{_F}/specs.py',
        'return functions[name](*args, **kwargs)',
        'return functions[name](*args)',
        'config.aggregation has the default of its argument.',
        (_SUMS + 'test_the_trimmed_mean_leaves_out_a_share_at_either_end',),
    ),
    Mutation(
        'a-client-that-left-pulls-the-median',
        _AGGREGATES,
        'jnp.where(per_owner(finite, x), x, jnp.nan), axis=0',
        'x, axis=0',
        'One diverging client moves the prompt.',
        (_SUMS + 'test_the_median_is_that_of_each_coordinate',),
    ),
    Mutation(
        'trimming-at-one-end',
        _AGGREGATES,
        '(place >= cut) & (place < count - cut)',
        '(place >= cut) & (place < count)',
        'The mean is biased upward.',
        (_SUMS + 'test_the_trimmed_mean_leaves_out_a_share_at_either_end',),
    ),
    Mutation(
        'trimming-a-share-of-all-clients',
        _AGGREGATES,
        'cut = jnp.floor(share * count)',
        'cut = jnp.floor(share * len(finite) + 0.5)',
        'More clients are left out than the config says.',
        (_SUMS + 'test_the_trimmed_mean_leaves_out_a_share_at_either_end',),
    ),
    Mutation(
        'short-trees-are-stretched-to-the-norm',
        _AGGREGATES,
        'norm / jnp.maximum(owner_norms(bank), norm)',
        'norm / owner_norms(bank)',
        'Small updates weigh as much as large ones.',
        (_SUMS + 'test_the_clipped_mean_is_of_trees_of_a_largest_norm',),
    ),
    Mutation(
        'the-geometric-median-is-the-mean',
        _AGGREGATES,
        'finite / jnp.maximum(owner_norms(away), smoothing)',
        'finite',
        'Outliers are not resisted.',
        (_SUMS + 'test_the_geometric_median_has_no_direction_that_is_nearer',),
    ),
    Mutation(
        'a-schedule-begins-a-round-late',
        _SCHEDULES,
        'return factor(round - warmup)',
        'return factor(max(0, round - warmup - 1))',
        'Learning rates are those of the round before.',
        (_RATES + 'test_a_schedule_is_optax_s',),
    ),
    Mutation(
        'a-warmup-of-one-round-less',
        _SCHEDULES,
        'return min(1.0, (round + step) / warmup)',
        'return round / warmup',
        'The first round learns nothing.',
        (
            _RATES + 'test_a_warmup_rises_to_the_whole_rate_and_shortens_'
            'the_rest',
        ),
    ),
    Mutation(
        'exponential-without-a-floor',
        _SCHEDULES,
        'max(floor, decay**n)',
        'decay**n',
        'Late rounds learn nothing.',
        (_RATES + 'test_a_schedule_is_optax_s',),
    ),
    Mutation(
        'client-optimizers-start-at-the-first-rate',
        f'{_F}/algorithm.py',
        'optimizers.with_settings(opt_state, settings)\n\n',
        'opt_state\n\n',
        'config.client.schedule has no effect.',
        (
            _PROOFS + 'test_a_schedule_sets_the_rate_of_each_round_on_both_'
            'sides',
        ),
    ),
    Mutation(
        'the-server-s-schedule-has-no-effect',
        f'{_F}/algorithm.py',
        'self.server_rate(int(state.round))',
        'self.server_rate(0)',
        'config.server.schedule has no effect.',
        (
            _PROOFS + 'test_a_schedule_sets_the_rate_of_each_round_on_both_'
            'sides',
        ),
    ),
    Mutation(
        'gradients-are-not-clipped',
        'fedprompt_jax/experiment/stage_one.py',
        'client_tx = optax.chain(clip, client_tx)',
        'pass',
        'config.client.clip_norm has no effect.',
        (_PROOFS + 'test_clipping_is_of_each_client_s_gradient',),
    ),
    Mutation(
        'clients-get-the-rows-of-others',
        _STORE,
        'for client, row in zip(clients.tolist(), rows, strict=True):',
        'for client, row in zip(clients.tolist()[::-1], rows, strict=True):',
        'Clients train what others kept.',
        (
            _KEPT + 'test_a_client_keeps_what_was_last_put_and_others_the_'
            'default',
        ),
    ),
    Mutation(
        'what-is-put-is-no-copy',
        _STORE,
        'row.copy()  # else',
        'row  # else',
        'Memory grows with every cohort.',
        (_KEPT + 'test_a_row_does_not_hold_its_cohort_in_memory',),
    ),
    Mutation(
        'changes-are-forgotten-when-memory-is-full',
        _STORE,
        'for client in [c for c in self._rows if c not in self._changed]:',
        'for client in [*self._rows]:',
        'Clients fall back to what they kept long ago.',
        (_KEPT + 'test_memory_holds_as_many_rows_as_its_budget',),
    ),
    Mutation(
        'temporary-files-stay',
        _STORE,
        'path.unlink()',
        'pass',
        'A long run fills the disk.',
        (
            _KEPT + 'test_temporary_files_go_when_their_rows_are_saved_or_'
            'replaced',
        ),
    ),
    Mutation(
        'every-round-is-a-new-program',
        f'{_A}/fedavg.py',
        'local_train(\n            setup.client_tx,',
        'local_train(\n            setup.client_tx._replace(\n'
        '                update=lambda *a: setup.client_tx.update(*a)\n'
        '            ),',
        'Every round compiles for minutes.',
        (_CONTRACT + 'test_no_program_is_compiled_after_the_first_rounds',),
    ),
    Mutation(
        'what-clients-keep-is-mixed-in-the-cohort',
        f'{_A}/local.py',
        'state._replace(round=state.round + 1), local.bank, metrics',
        'state._replace(round=state.round + 1), jax.tree.map(\n'
        '            lambda x: x + x.mean(axis=0), local.bank\n'
        '        ), metrics',
        'Clients that send nothing learn from each other.',
        (
            _CONTRACT + 'test_what_a_client_keeps_does_not_depend_on_who_else_'
            'was_there',
        ),
    ),
    Mutation(
        'the-first-client-of-a-cohort-weighs-twice',
        _AGGREGATES,
        'weights = jnp.where(finite_owners(bank), weights, 0.0)',
        'weights = jnp.where(finite_owners(bank), weights, 0.0).at[0].mul(2)',
        'The prompt depends on the order of clients.',
        (_CONTRACT + 'test_the_order_of_clients_changes_nothing',),
    ),
    Mutation(
        'rates-over-all-rounds-change-with-their-number',
        'fedprompt_jax/experiment/continuing.py',
        'if rounds and schedules.depends_on_rounds(schedule):',
        'if False:',
        'Rounds that were done had rates of another schedule.',
        (
            'tests/changes_test.py::test_a_schedule_over_all_rounds_keeps_'
            'their_number',
        ),
    ),
    Mutation(
        'steps-and-epochs-at-once',
        'fedprompt_jax/experiment/config.py',
        'if bool(c.local_steps) == bool(c.local_epochs):',
        'if not c.local_steps and not c.local_epochs:',
        'config.local_steps is silently ignored.',
        ('tests/config_test.py::test_faults_between_two_keys',),
    ),
    Mutation(
        'unknown-arguments-of-a-schedule-pass',
        f'{_F}/specs.py',
        'if key not in known:',
        'if False:',
        'A misspelt argument is a traceback.',
        (_RATES + 'test_what_is_no_schedule',),
    ),
    Mutation(
        'a-save-writes-everybody',
        _STORE,
        'wanted = sorted(self._changed | set(self._worn()))',
        'wanted = sorted(self._rows.keys() | self._places.keys())',
        'A checkpoint takes as long as the population is large.',
        (_KEPT + 'test_a_save_writes_what_changed_and_not_the_population',),
    ),
    Mutation(
        'worn-files-stay',
        _STORE,
        'if WASTE * self._in_use[name] < len(clients):',
        'if False:',
        'A run keeps a file of every round.',
        (_KEPT + 'test_files_that_are_hardly_in_use_are_written_again',),
    ),
    Mutation(
        'a-changed-file-of-rows-is-whole',
        _ROWS,
        'if digests.file_sha256(path) != expected:',
        'if False:',
        'Damaged rows are trained on.',
        (_KEPT + 'test_a_damaged_file_has_a_fault',),
    ),
    Mutation(
        'resumed-clients-keep-nothing',
        'fedprompt_jax/experiment/train.py',
        'clients.restore(checkpoints.notes())',
        'pass',
        'A resumed run is another one.',
        (_RUNS + 'test_a_run_killed_at_any_moment_ends_the_same',),
    ),
    Mutation(
        'a-client-that-diverged-keeps-it',
        _CLIENTS,
        'return where(finite_owners(after), after, before)',
        'return after',
        'One bad round spoils a client for ever.',
        (_RUNS + 'test_a_row_that_turns_non_finite_is_not_kept',),
    ),
    Mutation(
        'rows-are-no-part-of-a-checkpoint-s-health',
        'fedprompt_jax/experiment/resume.py',
        'integrity.fault(folder) or clients.fault(',
        'integrity.fault(folder) or (lambda *_: "")(',
        'A run resumes with damaged rows.',
        (_RUNS + 'test_a_damaged_file_of_rows_sends_the_run_back',),
    ),
    Mutation(
        'files-of-rows-are-never-removed',
        _CLIENTS,
        'if path.name not in used:',
        'if False:',
        'The disk fills up.',
        (_RUNS + 'test_more_rounds_continue_with_what_clients_kept',),
    ),
    Mutation(
        'local-epochs-have-one-order',
        'fedprompt_jax/data/sampling.py',
        "('local epoch', round, epoch)",
        "('local epoch', 0, epoch)",
        'A client reads the same batches in every round.',
        ('tests/sampling_test.py::test_local_epochs_are_drawn_by_round',),
    ),
)
