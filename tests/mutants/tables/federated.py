"""Mistakes in what a round computes, and in what it is said to cost."""

from tests.mutants.mutation import Mutation

_ALGORITHM = 'fedprompt_jax/federated/algorithm.py'
_CLIENT = 'fedprompt_jax/federated/client.py'
_LEDGER = 'fedprompt_jax/federated/ledger.py'
_RENDEZVOUS = 'fedprompt_jax/study/rendezvous.py'
_MERGED = 'fedprompt_jax/study/merged.py'
_MESH = 'fedprompt_jax/mesh.py'
_OPTIMIZERS = 'fedprompt_jax/federated/optimizers.py'
_PACKED = 'fedprompt_jax/federated/packed.py'
_GRID = 'fedprompt_jax/bank/grid.py'
_OWNERS = 'fedprompt_jax/bank/owners.py'
_SERVER = 'fedprompt_jax/federated/server.py'
_VMAPPED = 'fedprompt_jax/federated/vmapped.py'
_FEDAVG = 'fedprompt_jax/algorithms/fedavg.py'
_FEDSGD = 'fedprompt_jax/algorithms/fedsgd.py'

MUTATIONS = (
    # --- The mean over clients -------------------------------------------
    Mutation(
        'uniform-aggregation-weighs-by-examples',
        'fedprompt_jax/federated/aggregates.py',
        '_mean(bank, np.ones(len(counts), np.float32))',
        '_mean(bank, counts.astype(np.float32))',
        'The two choices of config.aggregation are under the wrong names.',
        (
            'tests/algorithms_test.py'
            '::test_clients_are_averaged_as_aggregation_says',
        ),
    ),
    Mutation(
        'one-finite-client-is-enough-to-share-rows',
        _PACKED,
        '(finite_owners(before) & ~finite_owners(after)).any())',
        '(finite_owners(before) & ~finite_owners(after)).all())',
        'A diverging client makes those that share its rows drop out, too.',
        (
            'tests/simulation_test.py'
            '::test_one_lost_client_is_enough_for_rows_of_one_owner',
        ),
    ),
    Mutation(
        'the-second-try-is-not-isolated',
        _PACKED,
        'return self._train_once(tx, bank, opt_state, steps, True)',
        'return self._train_once(tx, bank, opt_state, steps, False)',
        'A diverging client makes those that share its rows drop out, too.',
        (
            'tests/algorithms_test.py'
            '::test_a_non_finite_client_is_dropped_and_counted',
        ),
    ),
    Mutation(
        'a-dropped-client-counts-in-the-denominator',
        'fedprompt_jax/federated/aggregates.py',
        'weights = jnp.where(finite_owners(bank), weights, 0.0)\n    ',
        '',
        'The mean shrinks with every client that is dropped.',
        ('tests/algorithms_test.py::test_a_mean_over_no_finite_owner_is_nan',),
    ),
    Mutation(
        'a-dropped-client-is-multiplied-by-zero',
        'fedprompt_jax/federated/aggregates.py',
        'return jnp.where(w == 0, 0.0, w * x).sum(axis=0)',
        'return (w * x).sum(axis=0)',
        '0 * NaN is NaN: one client that diverges ends the run.',
        ('tests/algorithms_test.py::test_a_mean_over_no_finite_owner_is_nan',),
    ),
    Mutation(
        'the-weighted-mean-is-divided-by-the-clients-again',
        'fedprompt_jax/federated/aggregates.py',
        '0.0, w * x).sum(axis=0)',
        '0.0, w * x).mean(axis=0)',
        'Every update is as many times too small as there are clients.',
        (
            'tests/algorithms_test.py'
            '::test_clients_are_averaged_as_aggregation_says',
        ),
    ),
    Mutation(
        'a-client-is-finite-if-one-of-its-leaves-is',
        _OWNERS,
        'jax.tree.leaves(bank)]).all(axis=0)',
        'jax.tree.leaves(bank)]).any(axis=0)',
        'A client whose LoRA or prefix has diverged in one layer is averaged.',
        ('tests/algorithms_test.py::test_every_leaf_of_an_owner_is_finite',),
    ),
    Mutation(
        'infinity-is-finite',
        _OWNERS,
        'jnp.isfinite(x)',
        '~jnp.isnan(x)',
        'A client that has overflowed is averaged into the global prompt.',
        ('tests/algorithms_test.py::test_a_mean_over_no_finite_owner_is_nan',),
    ),
    # --- What a round reports --------------------------------------------
    Mutation(
        'an-update-s-norm-is-that-of-the-mean-displacement',
        _SERVER,
        "'update_norm': optax.tree.norm(updates),",
        "'update_norm': optax.tree.norm(gradient),",
        'The logged norm leaves out the server optimizer and its rate.',
        ('tests/simulation_test.py::test_a_round_of_fedavg_is_its_definition',),
    ),
    Mutation(
        'a-prompt-s-norm-is-that-before-the-update',
        _SERVER,
        'metrics = norms(params, updates, gradient)',
        'metrics = norms(state.params, updates, gradient)',
        'Every logged norm is a round late.',
        (
            'tests/algorithms_test.py'
            '::test_clients_are_averaged_as_aggregation_says',
        ),
    ),
    Mutation(
        'the-predicted-change-is-that-of-the-displacement',
        _SERVER,
        'optax.tree.vdot(gradient, updates)',
        'optax.tree.vdot(gradient, gradient)',
        'The guard, which warns of a prompt that learns nothing, is misled.',
        (
            'tests/algorithms_test.py'
            '::test_clients_are_averaged_as_aggregation_says',
        ),
    ),
    Mutation(
        'clients-that-stayed-are-counted-as-dropped',
        'fedprompt_jax/federated/client.py',
        'int((~to_host(finite)).sum())',
        'int(to_host(finite).sum())',
        'A healthy run logs that it drops every client.',
        ('tests/simulation_test.py::test_a_round_of_fedavg_is_its_definition',),
    ),
    Mutation(
        'the-number-of-the-round-stays',
        _SERVER,
        'round=state.round + 1\n',
        'round=state.round\n',
        'A run that is resumed begins again at its first round.',
        ('tests/simulation_test.py::test_a_round_of_fedavg_is_its_definition',),
    ),
    Mutation(
        'the-server-forgets-its-momentum',
        _SERVER,
        'params=params, opt_state=opt_state, round',
        'params=params, opt_state=state.opt_state, round',
        "The server's Adam is in its first step in every round.",
        (
            'tests/algorithms_test.py'
            '::test_clients_restart_their_optimizer_and_the_server_does_not',
        ),
    ),
    Mutation(
        'a-mean-loss-counts-clients-that-diverged',
        _OWNERS,
        'counted = to_host(values)[..., to_host(finite)]',
        'counted = to_host(values)',
        'The training curve holds losses of clients that are in no mean.',
        (
            'tests/algorithms_test.py::test_a_client_that_diverges_is_in_no_mean',
        ),
    ),
    Mutation(
        'a-mean-loss-counts-clients-without-a-batch',
        _OWNERS,
        'counted = counted[~np.isnan(counted)]',
        'counted = np.nan_to_num(counted)',
        'The loss of an epoch shrinks with every client that is done early.',
        ('tests/algorithms_test.py::test_a_mean_leaves_out_who_has_no_batch',),
    ),
    Mutation(
        'a-mean-loss-is-a-sum',
        _OWNERS,
        'return float(counted.mean())',
        'return float(counted.sum())',
        'The loss grows with the cohort.',
        ('tests/algorithms_test.py::test_fedavg_of_one_client_is_plain_optax',),
    ),
    Mutation(
        'no-finite-client-is-a-loss-of-zero',
        _OWNERS,
        "if counted.size else float('nan')",
        'if counted.size else 0.0',
        'The round in which every client diverged looks like the best one.',
        (
            'tests/algorithms_test.py'
            '::test_a_round_without_a_finite_client_is_nan',
        ),
    ),
    Mutation(
        'a-norm-is-its-square',
        _OWNERS,
        'return jax.vmap(optax.tree.norm)(bank)',
        'return jax.vmap(lambda x: optax.tree.norm(x, squared=True))(bank)',
        'The logged norms of gradients are squares.',
        (
            'tests/algorithms_test.py'
            '::test_fedsgd_of_several_batches_is_fedsgd_of_one_large_batch',
        ),
    ),
    # --- A client's steps ------------------------------------------------
    Mutation(
        'a-client-without-a-batch-steps-by-momentum',
        'fedprompt_jax/federated/client.py',
        'tx, bank, opt_state, loss, grads, took_part\n',
        'tx, bank, opt_state, loss, grads, took_part | True\n',
        'A client with few examples trains on after it has seen all of them.',
        (
            'tests/simulation_test.py'
            '::test_local_training_is_plain_optax_on_each_client',
        ),
    ),
    Mutation(
        'a-client-without-a-batch-forgets-momentum',
        _CLIENT,
        'old = (params, opt_state)',
        'old = (params, new_state)',
        'The step that a client sits out counts in its momentum.',
        (
            'tests/simulation_test.py'
            '::test_local_training_is_plain_optax_on_each_client',
        ),
    ),
    Mutation(
        'the-first-gradients-are-the-last-ones',
        'fedprompt_jax/federated/client.py',
        'first = grads if first is None else first',
        'first = grads',
        'The predicted change is of another point than the server is at.',
        (
            'tests/simulation_test.py'
            '::test_local_training_is_plain_optax_on_each_client',
        ),
    ),
    Mutation(
        'the-first-gradients-of-the-plain-form-are-the-last-ones',
        _VMAPPED,
        'jax.tree.map(lambda g: g[:, 0], grads)',
        'jax.tree.map(lambda g: g[:, -1], grads)',
        'The predicted change is of another point than the server is at.',
        (
            'tests/simulation_test.py'
            '::test_local_training_is_plain_optax_on_each_client',
        ),
    ),
    Mutation(
        'a-client-of-the-plain-form-is-there-in-all-steps',
        _VMAPPED,
        'present[e.owner, s] = True',
        'present[e.owner] = True',
        'A client with few examples trains on after it has seen all of them.',
        (
            'tests/simulation_test.py'
            '::test_local_training_is_plain_optax_on_each_client',
        ),
    ),
    Mutation(
        'the-plain-form-trains-on-the-mean-of-weighted-losses',
        _VMAPPED,
        '(batch.grid.target_weight * losses).sum()',
        '(batch.grid.target_weight * losses).mean()',
        'Gradients shrink with the padding.',
        (
            'tests/simulation_test.py'
            '::test_packed_and_vmapped_are_the_loop_over_clients',
        ),
    ),
    Mutation(
        'weights-of-the-plain-form-belong-to-another-example',
        _VMAPPED,
        'weights = token_weights(examples, loss)',
        'weights = token_weights(examples, loss)[::-1]',
        'An example has the weight of another length.',
        (
            'tests/simulation_test.py'
            '::test_packed_and_vmapped_are_the_loop_over_clients',
        ),
    ),
    Mutation(
        'a-client-s-norm-is-that-of-its-prompt',
        'fedprompt_jax/federated/client.py',
        'jnp.stack([losses, owner_norms(grads)])',
        'jnp.stack([losses, owner_norms(bank)])',
        "What is logged as the clients' gradient norm is another norm.",
        (
            'tests/simulation_test.py'
            '::test_local_training_is_plain_optax_on_each_client',
        ),
    ),
    Mutation(
        'a-client-without-a-batch-reports-a-loss',
        'fedprompt_jax/federated/client.py',
        'return bank, opt_state, jnp.where(present, report, jnp.nan)',
        'return bank, opt_state, report',
        'The mean loss counts zeros of clients that did nothing.',
        (
            'tests/simulation_test.py'
            '::test_local_training_is_plain_optax_on_each_client',
        ),
    ),
    Mutation(
        'local-training-ignores-isolate',
        _PACKED,
        'self.gradients_once(bank, step, isolate)',
        'self.gradients_once(bank, step)',
        'A diverging client makes those that share its rows drop out, too.',
        (
            'tests/algorithms_test.py'
            '::test_a_non_finite_client_is_dropped_and_counted',
        ),
    ),
    # --- Gradients of a packed grid --------------------------------------
    Mutation(
        'the-last-grid-alone-gives-gradients',
        _PACKED,
        'total = part if total is None else _add(total, part)',
        'total = part',
        'A cohort that fills two grids trains on a part of its examples.',
        ('tests/simulation_test.py::test_rows_and_grids_do_not_matter',),
    ),
    Mutation(
        'the-loss-of-the-config-is-ignored',
        _PACKED,
        'weights = token_weights(examples, self.loss)\n        for grid in',
        "weights = token_weights(examples, 'sequence')\n        for grid in",
        'config.loss has no effect on training.',
        (
            'tests/simulation_test.py'
            '::test_packed_and_vmapped_are_the_loop_over_clients',
        ),
    ),
    Mutation(
        'targets-without-weights',
        _GRID,
        'weighted = grid.target_weight * grid_losses(model, base, bank, grid)',
        'weighted = grid_losses(model, base, bank, grid)',
        'Padding is trained on, and every client has a gradient of sums.',
        (
            'tests/simulation_test.py'
            '::test_packed_and_vmapped_are_the_loop_over_clients',
        ),
    ),
    Mutation(
        'a-loss-is-that-of-the-last-target',
        _GRID,
        '.at[owner].add(weighted)[:-1]',
        '.at[owner].set(weighted)[:-1]',
        'The gradient of a client is that of one token.',
        (
            'tests/simulation_test.py'
            '::test_packed_and_vmapped_are_the_loop_over_clients',
        ),
    ),
    Mutation(
        'non-finite-owners-are-computed-with',
        _GRID,
        'safe = select(finite, bank, 0.0)',
        'safe = bank',
        'A client that has diverged takes its neighbours along.',
        (
            'tests/simulation_test.py'
            '::test_a_non_finite_owner_does_not_touch_its_neighbours',
        ),
    ),
    Mutation(
        'non-finite-owners-come-back-to-life',
        _GRID,
        'return select(finite, (losses, grads), jnp.nan)',
        'return losses, grads',
        'A client that has diverged reports the loss of a prompt of zeros.',
        (
            'tests/simulation_test.py'
            '::test_a_non_finite_owner_does_not_touch_its_neighbours',
        ),
    ),
    # --- Algorithms ------------------------------------------------------
    Mutation(
        'the-displacement-of-fedavg-points-away',
        _FEDAVG,
        'jax.tree.map(jnp.subtract, start, local.bank)',
        'jax.tree.map(jnp.subtract, local.bank, start)',
        'The server climbs the loss.',
        (
            'tests/algorithms_test.py'
            '::test_clients_are_averaged_as_aggregation_says',
        ),
    ),
    Mutation(
        'fedavg-ignores-config-aggregation',
        'fedprompt_jax/federated/algorithm.py',
        'return self.aggregate(bank, cohort.num_examples)',
        'return self.aggregate(bank, cohort.num_examples * 0 + 1)',
        'A client of three examples weighs as much as one of three hundred.',
        (
            'tests/algorithms_test.py'
            '::test_clients_are_averaged_as_aggregation_says',
        ),
    ),
    Mutation(
        'the-loss-of-the-last-step-is-that-of-the-first',
        'fedprompt_jax/federated/client.py',
        'mean_later(self.losses, finite, -1)',
        'mean_later(self.losses, finite, 0)',
        'Local training seems to have no effect.',
        ('tests/algorithms_test.py::test_fedavg_of_one_client_is_plain_optax',),
    ),
    Mutation(
        'clients-that-diverge-later-are-in-the-mean-loss',
        _FEDAVG,
        'local.metrics(finite_owners(displacement))',
        'local.metrics(finite_owners(local.first_grads))',
        'The mean loss is of other clients than the mean prompt.',
        (
            'tests/algorithms_test.py::test_a_client_that_diverges_is_in_no_mean',
        ),
    ),
    Mutation(
        'fedsgd-reads-the-first-local-batch-alone',
        _FEDSGD,
        'setup.simulation.gradients(bank, cohort.examples)',
        'setup.simulation.gradients(bank, cohort.steps[0])',
        'The client batch is smaller than the config says.',
        (
            'tests/algorithms_test.py'
            '::test_fedsgd_of_several_batches_is_fedsgd_of_one_large_batch',
        ),
    ),
    Mutation(
        'the-loss-of-fedsgd-counts-dropped-clients',
        _FEDSGD,
        "'loss': mean_later(losses, finite)",
        "'loss': mean_later(losses, finite | True)",
        'The mean loss is of other clients than the mean gradient.',
        (
            'tests/algorithms_test.py'
            '::test_the_loss_of_fedsgd_is_that_of_the_clients_in_the_mean',
        ),
    ),
    Mutation(
        'centralized-does-not-pool',
        'fedprompt_jax/algorithms/centralized.py',
        'POOLED = True',
        'POOLED = False',
        "The paper's baseline is FedSGD under another name.",
        ('tests/algorithms_test.py::test_only_centralized_pools_its_clients',),
    ),
    Mutation(
        'algorithms-pool-unless-they-say-otherwise',
        'fedprompt_jax/algorithms/__init__.py',
        "getattr(get(name), 'POOLED', False)",
        "getattr(get(name), 'POOLED', True)",
        'Every algorithm trains on one client that holds all data.',
        ('tests/algorithms_test.py::test_only_centralized_pools_its_clients',),
    ),
    # --- Optimizers ------------------------------------------------------
    Mutation(
        'an-optimizer-s-arguments-are-dropped',
        _OPTIMIZERS,
        'return getattr(optax, name)(learning_rate, **kwargs)',
        'return getattr(optax, name)(learning_rate)',
        "b1 and eps of the paper's Adam are Optax's.",
        (
            'tests/optimizers_test.py'
            '::test_made_optimizers_are_optax_s_at_the_learning_rate',
        ),
    ),
    Mutation(
        'l2-pushes-away',
        'fedprompt_jax/federated/transformations.py',
        'g + strength * (p - s)',
        'g - strength * (p - s)',
        'The more a prompt is to stay near the global one, the less it does.',
        (
            'tests/personalization_laws_test.py'
            '::test_the_pull_is_the_gradient_of_the_penalty',
        ),
    ),
    Mutation(
        'l2-is-half-as-strong',
        'fedprompt_jax/federated/transformations.py',
        'g + strength * (p - s)',
        'g + strength / 2 * (p - s)',
        'lambda is not the lambda of the paper.',
        (
            'tests/personalization_laws_test.py'
            '::test_the_pull_is_the_gradient_of_the_penalty',
        ),
    ),
    Mutation(
        'an-optimizer-that-draws-random-numbers-is-taken',
        _OPTIMIZERS,
        "if {'seed', 'key'} & set(parameters):",
        "if {'seeds', 'keys'} & set(parameters):",
        'All clients and rounds would have the same noise.',
        (
            'tests/optimizers_test.py'
            '::test_an_optimizer_of_random_steps_is_refused',
        ),
    ),
    Mutation(
        'an-optimizer-is-not-tried-before-the-run',
        _OPTIMIZERS,
        'jax.eval_shape(lambda p: tx.update(p, tx.init(p), p), params)',
        'jax.eval_shape(tx.init, params)',
        'A run fails in its first round, after everything was loaded.',
        (
            'tests/optimizers_test.py'
            '::test_an_optimizer_that_cannot_take_a_step_is_refused',
        ),
    ),
    Mutation(
        'a-learning-rate-may-be-given-twice',
        _OPTIMIZERS,
        "del parameters['learning_rate']\n    ",
        '',
        'A rate in config.client.optimizer collides with that of the config.',
        (
            'tests/optimizers_test.py'
            '::test_an_unknown_argument_is_answered_with_those_there_are',
        ),
    ),
    # --- What a round costs ----------------------------------------------
    Mutation(
        'the-bytes-of-one-client',
        _LEDGER,
        'tree_bytes(sent.up) * num_clients',
        'tree_bytes(sent.up)',
        'The traffic in log, report and README is that of one client.',
        (
            'tests/ledger_test.py::test_every_client_gets_a_tree_and_returns_a_tree',
        ),
    ),
    Mutation(
        'pooled-data-are-sent-around',
        'fedprompt_jax/algorithms/centralized.py',
        'fedsgd.make(setup)._replace(sent=lambda state: Sent(None, None))',
        'fedsgd.make(setup)',
        'Centralized training has traffic.',
        (
            'tests/build_wiring_test.py::test_centralized_training_is_of_one_client_with_all_data_and_no_traffic',
        ),
    ),
    Mutation(
        'every-number-has-four-bytes',
        _LEDGER,
        'math.prod(x.shape) * x.dtype.itemsize for',
        'math.prod(x.shape) * 4 for',
        'The traffic of parameters in fewer bits is not less.',
        (
            'tests/ledger_test.py'
            '::test_bytes_are_those_of_every_leaf_in_its_own_dtype',
        ),
    ),
    Mutation(
        'a-frozen-model-has-gradients-of-weights',
        _LEDGER,
        'passes = 3 if model.kind.is_full_model else 2',
        'passes = 3',
        'Operations, and with them the utilization, are 1.5 times too many.',
        (
            'tests/ledger_test.py'
            '::test_a_token_passes_once_forward_and_again_for_each_gradient',
        ),
    ),
    Mutation(
        'a-multiply-add-is-one-operation',
        _LEDGER,
        "'flops': 2 * passes * work",
        "'flops': passes * work",
        'Operations are half of what every other paper counts.',
        (
            'tests/ledger_test.py'
            '::test_a_token_passes_once_forward_and_again_for_each_gradient',
        ),
    ),
    Mutation(
        'every-example-has-a-prompt-of-its-own',
        _LEDGER,
        'prompts = len(owners if packer.shared else examples)',
        'prompts = len(examples)',
        'Tokens count copies of the prompt that are never computed.',
        (
            'tests/ledger_test.py'
            '::test_a_token_passes_once_forward_and_again_for_each_gradient',
        ),
    ),
    Mutation(
        'an-example-has-one-target',
        _LEDGER,
        'targets += sum(e.num_target_tokens for e in examples)',
        'targets += len(examples)',
        'The logits, a third of a small model, are left out of operations.',
        (
            'tests/ledger_test.py'
            '::test_a_token_passes_once_forward_and_again_for_each_gradient',
        ),
    ),
    # --- Runs as one bank ------------------------------------------------
    Mutation(
        'requests-of-all-kinds-in-one-call',
        _RENDEZVOUS,
        'groups.setdefault(key, [])',
        "groups.setdefault('', [])",
        'A run is given what another asked for.',
        (
            'tests/rendezvous_test.py'
            '::test_one_call_answers_all_that_ask_for_the_same',
        ),
    ),
    Mutation(
        'an-error-reaches-one-run-alone',
        _RENDEZVOUS,
        'answers = [error] * len(participants)',
        'answers = [error, *[None] * (len(participants) - 1)]',
        'Runs go on with None for their gradients.',
        (
            'tests/rendezvous_test.py'
            '::test_what_a_call_raises_reaches_all_that_asked_for_it',
        ),
    ),
    Mutation(
        'who-leaves-does-not-wake-the-others',
        _RENDEZVOUS,
        'self._present.discard(participant)\n'
        '            self._answer_if_all_wait()',
        'self._present.discard(participant)',
        'A study stands still when the first of its runs is done.',
        (
            'tests/rendezvous_test.py::test_one_that_leaves_wakes_those_that_wait',
        ),
    ),
    Mutation(
        'all-runs-train-the-first-one-s-prompts',
        _MERGED,
        'e._replace(owner=e.owner + start)',
        'e._replace(owner=e.owner)',
        'The runs of a study are not those that they are apart.',
        ('tests/rendezvous_test.py::test_training_together_is_training_alone',),
    ),
    Mutation(
        'a-bank-begins-behind-the-one-before-alone',
        _MERGED,
        'starts.append(starts[-1] + num_owners(bank))',
        'starts.append(num_owners(bank))',
        'Of three runs, the third trains the prompts of the second.',
        ('tests/rendezvous_test.py::test_banks_stand_side_by_side',),
    ),
    Mutation(
        'the-widest-packer-has-the-longest-one-s-targets',
        _MERGED,
        'targets = max(p.shapes[-1].targets for p in packers)',
        'targets = longest.shapes[-1].targets',
        'A run with long answers and short queries fails in a study.',
        (
            'tests/rendezvous_test.py'
            '::test_the_widest_packer_holds_what_each_holds',
        ),
    ),
    Mutation(
        'a-run-that-isolates-shares-rows-with-others',
        _MERGED,
        "key = f'gradients, isolate={isolate}'",
        "key = 'gradients'",
        'A diverging client of one run drops clients of the others.',
        ('tests/rendezvous_test.py::test_a_run_that_isolates_is_isolated',),
    ),
    # --- Devices ---------------------------------------------------------
    Mutation(
        'output-kernels-are-cut-along-the-wrong-axis',
        _MESH,
        "(r'(output|down)/kernel$', PartitionSpec(None, 'model', 'data'))",
        "(r'(output|down)/kernel$', PartitionSpec(None, 'data', 'model'))",
        'Every layer communicates twice as much, for the same numbers.',
        ('tests/mesh_test.py::test_how_a_leaf_is_cut',),
    ),
    Mutation(
        'gates-are-held-whole-by-every-device',
        _MESH,
        "r'(query|key|value|qkv|gate|up)/kernel$'",
        "r'(query|key|value|qkv|up)/kernel$'",
        'A model that was planned to fit does not.',
        ('tests/mesh_test.py::test_how_a_leaf_is_cut',),
    ),
    Mutation(
        'the-base-is-always-cut-over-data',
        _MESH,
        "and (fsdp or axis != 'data')\n            ",
        '',
        'config.mesh.fsdp has no effect: layers are always gathered.',
        ('tests/mesh_test.py::test_how_a_leaf_is_cut',),
    ),
    Mutation(
        'an-axis-is-cut-that-does-not-divide',
        _MESH,
        'and shape[i] % sizes[axis] == 0\n            ',
        '',
        'Three devices refuse a model that they could hold.',
        ('tests/mesh_test.py::test_how_a_leaf_is_cut',),
    ),
    Mutation(
        'a-layer-is-not-gathered',
        _MESH,
        'spec = cut(path, (1, *x.shape), dict(self.mesh.shape), fsdp=False)',
        'spec = cut(path, (1, *x.shape), dict(self.mesh.shape), fsdp=True)',
        'XLA moves the rows to the kernels: many times the communication.',
        ('tests/mesh_test.py::test_a_layer_at_work_is_cut_over_model_alone',),
    ),
    Mutation(
        'the-vocabulary-is-not-gathered',
        _MESH,
        'cut(path, x.shape, dict(self.mesh.shape), False)',
        'cut(path, x.shape, dict(self.mesh.shape), True)',
        'XLA moves the rows to the vocabulary: many times the communication.',
        ('tests/mesh_test.py::test_tables_at_work_are_cut_over_model_alone',),
    ),
    Mutation(
        'a-layer-s-cut-is-shifted-by-its-missing-axis',
        _MESH,
        'return self._placed(x, PartitionSpec(*spec[1:]))',
        'return self._placed(x, PartitionSpec(*spec[:-1]))',
        'Each layer is cut along the other axis, and communicates.',
        ('tests/mesh_test.py::test_a_layer_at_work_is_cut_over_model_alone',),
    ),
    Mutation(
        'rows-are-not-spread-over-devices',
        _MESH,
        "mesh, PartitionSpec('data') if fits else PartitionSpec()",
        "mesh, PartitionSpec() if fits else PartitionSpec('data')",
        'Eight devices each compute all rows.',
        ('tests/mesh_test.py::test_rows_are_spread_where_data_divides_them',),
    ),
    Mutation(
        'a-process-reads-no-row',
        _MESH,
        'mine[place] = True',
        'mine[place] = False',
        'Grids are empty, and nothing is trained.',
        ('tests/mesh_test.py::test_one_process_reads_all_rows',),
    ),
    Mutation(
        'fewer-devices-than-there-are',
        _MESH,
        'if data * model != have:',
        'if data * model > have:',
        'A mesh of four of eight devices fails with an error of JAX.',
        ('tests/mesh_test.py::test_a_mesh_of_fewer_devices_is_an_error',),
    ),
    Mutation(
        'gradients-go-to-the-run-behind',
        'fedprompt_jax/study/merged.py',
        'ends = [*starts[1:], num_owners(bank)]',
        'ends = [num_owners(bank)] * len(starts)',
        'A run takes gradients of clients that are not its own.',
        ('tests/rendezvous_test.py::test_training_together_is_training_alone',),
    ),
    Mutation(
        'l2-pulls-to-the-prompt-of-the-step-before',
        'fedprompt_jax/federated/transformations.py',
        'return pulled, start\n',
        'return pulled, params\n',
        'Nothing holds a prompt near the global one for more than a step.',
        (
            'tests/personalize_wiring_test.py::test_the_optimizer_steps_on_'
            'the_gradient_of_loss_and_penalty',
        ),
    ),
    Mutation(
        'a-lost-client-has-every-epoch-computed-twice',
        'fedprompt_jax/federated/packed.py',
        'return bool((finite_owners(before) & ~finite_owners(after)).any())',
        'return bool((~finite_owners(after)).any())',
        'Stage 2 takes twice the time once a client has diverged.',
        (
            'tests/simulation_test.py::test_one_lost_client_is_enough_for_r'
            'ows_of_one_owner',
        ),
    ),
)
