"""Mistakes in models whose layers are repeated, and in what FedSP trains."""

from tests.mutants.mutation import Mutation

AUXILIARY = 'fedprompt_jax/models/auxiliary.py'
STACK = 'fedprompt_jax/models/stack.py'
SIZES = 'fedprompt_jax/models/sizes.py'
COST = 'fedprompt_jax/planning/cost.py'
MODULES = 'fedprompt_jax/bank/modules.py'
CLOSENESS = 'fedprompt_jax/evaluation/closeness.py'
BOTH = 'fedprompt_jax/bank/whole_and_prompt.py'
TESTS = 'tests/shared_layers_test.py::'
TILED = (TESTS + 'test_a_cell_is_the_model_that_has_it_several_times[gemma2]',)
TRAINED = (TESTS + 'test_what_is_trained_is_of_each_repetition',)
WORK = (
    TESTS + 'test_work_is_that_of_the_full_depth_and_memory_that_of_the_cell',
)
CUT = (TESTS + 'test_what_is_cut_out_is_the_full_model_s',)
ALONE = (TESTS + 'test_without_sharing_it_is_the_layers_alone',)
FAULTS = (TESTS + 'test_no_auxiliary_model',)
DEPTHS = (TESTS + 'test_prefixes_between_depths',)
ALTERNATING = (TESTS + 'test_a_model_or_its_prompt_or_both_train',)
NUMPY = ('tests/closeness_test.py::test_it_is_that_of_numpy',)
TURN = 'fedprompt_jax/federated/auxiliary/turn.py'
DISTILL = 'fedprompt_jax/federated/auxiliary/distillation.py'
FEDSP = 'fedprompt_jax/algorithms/fedsp.py'
ROUNDS = 'tests/fedsp_test.py::'
RUNS = 'tests/fedsp_run_test.py::'
FITTED = 'tests/distill_test.py::'
TABLE = 'fedprompt_jax/study/answers_table.py'
STUDIES = 'tests/fedsp_studies_test.py::'
PACKING = (TESTS + 'test_how_rows_are_packed_is_the_prompt_s',)

MUTATIONS = (
    Mutation(
        'inputs-of-layers-go-to-other-repetitions',
        STACK,
        'return jax.tree.map(lambda x: x.reshape(repeats, -1, *x.shape[1:]), '
        'tree)',
        'return jax.tree.map(\n'
        '        lambda x: x.reshape(-1, repeats, *x.shape[1:]).swapaxes(0, 1),'
        '\n        tree,\n    )',
        'A layer has the window and the prefix of another.',
        TILED,
    ),
    Mutation(
        'parameters-are-copied-for-each-repetition',
        STACK,
        "variable_broadcast='params',\n"
        "        variable_axes={'peft': 0, STATES: 0},\n"
        "        split_rngs={'params': False},\n"
        '        in_axes=(0, 0, 0, nn.broadcast),\n'
        '        length=repeats,\n'
        '    )\n',
        "variable_axes={'params': 0, 'peft': 0, STATES: 0},\n"
        "        split_rngs={'params': False},\n"
        '        in_axes=(0, 0, 0, nn.broadcast),\n'
        '        length=repeats,\n'
        '    )\n'
        '    outer = nn.map_variables(\n'
        '        outer,\n'
        "        'params',\n"
        '        lambda tree: jax.tree.map(\n'
        '            lambda x: jnp.stack([x] * repeats), tree\n'
        '        ),\n'
        '    )\n',
        'An auxiliary model needs the memory of the full one.',
        (TESTS + 'test_the_backward_pass_keeps_no_copies_of_parameters',),
    ),
    Mutation(
        'late-prompts-read-one-layer-after-the-other',
        STACK,
        'lambda v: v[number % stored], params',
        'lambda v: v[number // self.config.repeats], params',
        'Layers of a cell stand in another order under a late prompt.',
        TRAINED,
    ),
    Mutation(
        'a-cell-is-passed-once-in-plans',
        SIZES,
        "return config.repeats if path.startswith('layers/') else 1",
        'return 1',
        'Plans and the ledger forget most of the work of a client.',
        WORK,
    ),
    Mutation(
        'repeated-layers-are-read-once-in-plans',
        COST,
        'repeats(model_config, path) * base_bytes({path: leaf}, mesh)',
        'base_bytes({path: leaf}, mesh)',
        'Decoding is planned too fast.',
        WORK,
    ),
    Mutation(
        'lora-is-of-stored-layers',
        MODULES,
        'layers *= repeats(info.config, path)',
        'layers *= 1',
        'LoRA of an auxiliary model does not fit it.',
        TRAINED,
    ),
    Mutation(
        'the-first-layers-are-cut-out',
        AUXILIARY,
        "lambda x: x[start : start + size], base['layers']",
        "lambda x: x[:size], base['layers']",
        'Clients get other layers than the config says.',
        CUT,
    ),
    Mutation(
        'windows-are-of-the-first-layers',
        AUXILIARY,
        'model.local_layers[start : start + size]',
        'model.local_layers[:size]',
        'A global layer reads a window alone.',
        ALONE,
    ),
    Mutation(
        'no-layer-is-local-in-a-part-of-a-model',
        AUXILIARY,
        'num_layers=size, local_layers=local)',
        'num_layers=size, local_layers=())',
        'All layers read everything.',
        ALONE,
    ),
    Mutation(
        'a-cell-need-not-fit-the-depth',
        'fedprompt_jax/models/config.py',
        'if self.cell and self.num_layers % self.cell:',
        'if False:',
        'The last layers of a model that is not a whole number of cells are '
        'left out.',
        (TESTS + 'test_which_models_have_an_auxiliary_model',),
    ),
    Mutation(
        'cells-may-leave-the-model',
        AUXILIARY,
        'start + size > depth',
        'start >= depth',
        'A cell has fewer layers than asked for.',
        FAULTS,
    ),
    Mutation(
        'the-mean-over-layers-is-the-first',
        AUXILIARY,
        'groups.mean(axis=1)',
        'groups[:, 0]',
        'FedPrompt-Single sends the prefix of one layer.',
        DEPTHS,
    ),
    Mutation(
        'layers-are-tiled-not-repeated',
        AUXILIARY,
        'jnp.repeat(layers, times, axis=0)',
        'jnp.tile(layers, (times, 1, 1, 1, 1))',
        'Groups of layers come back in another order.',
        DEPTHS,
    ),
    Mutation(
        'layers-are-sorted-as-text',
        AUXILIARY,
        'key=lambda item: int(item[0])',
        'key=lambda item: item[0]',
        'Of models with over 100 layers, the last ones join the wrong groups.',
        DEPTHS,
    ),
    Mutation(
        'the-kept-prompt-trains-too',
        BOTH,
        "'model': ('prompt',),",
        "'model': (),",
        'The prompt moves while clients align their models.',
        ALTERNATING,
    ),
    Mutation(
        'the-kept-model-trains-too',
        BOTH,
        "'prompt': ('model',),",
        "'prompt': (),",
        'The model moves while clients train their prompts.',
        ALTERNATING,
    ),
    Mutation(
        'a-prompt-in-a-whole-model-has-no-position',
        BOTH,
        'property(lambda self: self.prompt.first_position)',
        'property(lambda self: 0)',
        'Examples begin elsewhere than under the prompt alone.',
        PACKING,
    ),
    Mutation(
        'closeness-is-seen-from-the-auxiliary-model',
        CLOSENESS,
        'jnp.exp(log_p) * (log_p - log_q)',
        'jnp.exp(log_q) * (log_q - log_p)',
        'The divergence is the other one of the two.',
        NUMPY,
    ),
    Mutation(
        'places-without-a-target-are-close',
        CLOSENESS,
        'is_target = jnp.asarray(grid.target_number) >= 0',
        'is_target = jnp.asarray(grid.target_number) >= -1',
        'The mean is over nonsense too.',
        NUMPY,
    ),
    Mutation(
        'closeness-is-a-mean-of-grids',
        CLOSENESS,
        'return Closeness(kl / tokens, equal / tokens, int(tokens))',
        'return Closeness(kl / len(grids), equal / tokens, int(tokens))',
        'Full grids count as little as those of a few tokens.',
        NUMPY,
    ),
    Mutation(
        'a-client-trains-on-the-model-that-the-server-sent',
        TURN,
        "model = jax.tree.map(lambda x: x[0], rows['model'])",
        "jax.tree.map(lambda x: x[0], rows['model'])",
        'The alignment of a model with the prompt is never used.',
        (ROUNDS + 'test_rounds_are_those_of_a_plain_computation[1]',),
    ),
    Mutation(
        'optimizers-begin-anew-in-each-round',
        TURN,
        'if not self.keeps_optimizers:\n'
        "            rows |= jax.vmap(self._fresh)(rows.get('model'), prompts)",
        'if True:\n'
        "            rows |= jax.vmap(self._fresh)(rows.get('model'), prompts)",
        'Moments and step counts of a client are lost.',
        (ROUNDS + 'test_rounds_are_those_of_a_plain_computation[1]',),
    ),
    Mutation(
        'a-round-has-one-learning-rate',
        TURN,
        'rate(round + float(f), 1 / max(1, int(n)))',
        'rate(round, 1 / max(1, int(n)))',
        'The schedule is that of rounds, not of steps.',
        (ROUNDS + 'test_rounds_are_those_of_a_plain_computation[1]',),
    ),
    Mutation(
        'the-prompt-is-trained-with-the-model',
        'fedprompt_jax/experiment/build.py',
        'computing(WholeAndPrompt(kind, which), one_owner)',
        "computing(WholeAndPrompt(kind, 'both'), one_owner)",
        'Gradients of the prompt are computed for nothing.',
        (ROUNDS + 'test_the_half_of_the_model_has_no_gradient_of_the_prompt',),
    ),
    Mutation(
        'joint-training-has-the-model-s-rate-for-the-prompt',
        TURN,
        'optax.chain(prompt_tx, optax.scale(share))',
        'prompt_tx',
        'The prompt learns at the rate of the model.',
        (ROUNDS + 'test_joint_training_has_a_rate_for_each',),
    ),
    Mutation(
        'clients-train-the-mlp',
        FEDSP,
        'prompt_tx, joint_tx = map(turn.without_mlp, (prompt_tx, joint_tx))',
        'joint_tx = turn.without_mlp(joint_tx)',
        'What is not sent is trained.',
        (
            ROUNDS + 'test_clients_train_what_the_mlp_reads_and_the_server_the'
            '_mlp_too',
        ),
    ),
    Mutation(
        'the-mlp-travels-up-unasked',
        FEDSP,
        'if turn.MLP in down and not c.mlp_up:',
        'if turn.MLP in down and c.mlp_up:',
        'Traffic of the literal form and of ours are swapped.',
        (
            ROUNDS + 'test_clients_train_what_the_mlp_reads_and_the_server_the'
            '_mlp_too',
        ),
    ),
    Mutation(
        'clients-of-a-cut-model-get-a-layer-each',
        FEDSP,
        'lambda prompt: auxiliary.mean_over_layers(prompt, c.num_layers)',
        "lambda prompt: {'prefix': {'00': prompt['prefix']['00']}}",
        'FedPrompt-Single sends the first layer, not the mean.',
        (ROUNDS + 'test_a_cut_model_gets_the_mean_over_layers',),
    ),
    Mutation(
        'own-prompts-in-every-round',
        FEDSP,
        "if c.first_prompt == 'own' and int(state.round) == 0:",
        "if c.first_prompt == 'own':",
        'What the server has learnt never comes to clients.',
        (
            ROUNDS + 'test_a_first_prompt_of_ones_own_is_for_the_first_round'
            '_alone',
        ),
    ),
    Mutation(
        'the-server-s-optimizer-begins-anew',
        FEDSP,
        'owners.replicate(state.opt_state, 1)',
        'owners.replicate(setup.server_tx.init(params), 1)',
        "Moments of the server's part are lost.",
        (ROUNDS + 'test_rounds_are_those_of_a_plain_computation[1]',),
    ),
    Mutation(
        'the-first-half-s-change-is-not-what-is-predicted',
        FEDSP,
        'optax.tree.vdot(gradient, to_client(updates))',
        'optax.tree.vdot(gradient, to_client(params))',
        'The guard sees another change of the loss.',
        (ROUNDS + 'test_the_whole_model_as_auxiliary_is_fedavg[changes0]',),
    ),
    Mutation(
        'the-whole-model-is-sent-once',
        'fedprompt_jax/experiment/build.py',
        'base = devices.replicate(auxiliary.params(lm.base, start, size))',
        'base = devices.replicate(lm.base)',
        'The model leaves the server.',
        (RUNS + 'test_messages_list_all_that_travels',),
    ),
    Mutation(
        'the-model-is-sent-in-each-round',
        'fedprompt_jax/experiment/train.py',
        "return {'bytes_once': new * ",
        "return {'bytes_once': 3 * ",
        'Traffic that is not there is reported.',
        (RUNS + 'test_messages_list_all_that_travels',),
    ),
    Mutation(
        'validation-by-loss-is-by-score',
        'fedprompt_jax/experiment/train.py',
        'now, best = now[1:], best[1:]',
        'pass',
        'Another prompt is reported than the one of the least loss.',
        ('tests/selection_test.py::test_the_least_loss_may_choose',),
    ),
    Mutation(
        'a-report-s-best-by-loss-is-by-score',
        'fedprompt_jax/report/run.py',
        "if self.config.get('validation', {}).get('by') == 'loss':",
        "if self.config.get('validation', {}).get('by') == 'score':",
        'A figure stars another validation than the one that chose.',
        (RUNS + 'test_the_loss_chooses_where_the_score_says_otherwise',),
    ),
    Mutation(
        'a-row-that-is-not-finite-is-kept',
        'fedprompt_jax/experiment/clients.py',
        'if finite[0]:',
        'if True:',
        'A client that diverged once never comes back.',
        (RUNS + 'test_a_row_that_is_not_finite_is_left_out',),
    ),
    Mutation(
        'a-cohort-s-rows-are-taken-at-once',
        'fedprompt_jax/experiment/clients.py',
        'return self._clients._taken(self._server, self._cohort[[place]])',
        'rows = self._clients._taken(self._server, self._cohort)\n'
        '        return jax.tree.map(lambda x: x[[place]], rows)',
        'Memory grows with the models of a cohort.',
        (RUNS + 'test_rows_beyond_the_memory_budget_change_nothing',),
    ),
    Mutation(
        'states-of-padding-count',
        DISTILL,
        'counted = jnp.full_like(lengths, lengths.max()) if padding else '
        'lengths',
        'counted = jnp.full_like(lengths, lengths.max())',
        'The loss is that of what nothing reads.',
        (FITTED + 'test_the_loss_is_the_mean_square_over_real_tokens',),
    ),
    Mutation(
        'all-columns-are-padding-of-the-batch',
        DISTILL,
        'jnp.full_like(lengths, lengths.max()) if padding',
        'jnp.full_like(lengths, mine.shape[1]) if padding',
        'The literal form depends on how rows are padded here.',
        (FITTED + 'test_rows_may_be_wider_than_their_text',),
    ),
    Mutation(
        'soft-answers-are-the-student-s-own',
        DISTILL,
        'optax.softmax_cross_entropy(own, jax.nn.softmax(logits))',
        'optax.softmax_cross_entropy(own, jax.nn.softmax(own))',
        'Nothing is learnt of how sure the full model is.',
        (FITTED + 'test_the_full_objective_has_right_and_soft_answers',),
    ),
    Mutation(
        'a-distilled-model-is-thrown-away',
        DISTILL,
        'return state.replace(model=params, closeness=near)',
        'return state.replace(model=state.model, closeness=near)',
        'Distillation changes nothing.',
        (FITTED + 'test_steps_are_adamw_with_a_warm_up',),
    ),
    Mutation(
        'a-figure-of-the-mean-alone',
        'fedprompt_jax/report/figures/distill.py',
        'ax.plot(steps, losses, color=color, alpha=0.3)',
        'ax.plot(steps, np.sort(losses), color=color, alpha=0.3)',
        'The curve shows a fall that was none.',
        (RUNS + 'test_the_figure_shows_the_loss_of_every_step',),
    ),
    Mutation(
        'the-bare-model-s-answers-are-the-prompt-s',
        TABLE,
        "cells = [*accuracies(runs, 'global'), *costs(runs)]",
        "cells = [*accuracies(runs, 'bare'), *costs(runs)]",
        'A table shows the same accuracy for all methods.',
        (STUDIES + 'test_the_loss_and_the_clients_mean_are_those_of_the_run',),
    ),
    Mutation(
        'acc-norm-is-acc',
        TABLE,
        "line['choice_losses'], texts, [1] * len(texts), 'character'",
        "line['choice_losses'], texts, [1] * len(texts), 'sum'",
        'Two columns of a table are one.',
        (STUDIES + 'test_answers_are_of_one_prompt_and_by_two_rules',),
    ),
    Mutation(
        'a-client-of-fedprompt-has-no-model',
        TABLE,
        'own = full\n    once',
        'own = 1\n    once',
        'The size ratio of FedPrompt is that of nothing.',
        (STUDIES + 'test_the_table_is_of_the_run_s_answers_and_messages',),
    ),
    Mutation(
        'traffic-of-all-clients-is-one-client-s',
        TABLE,
        'return _mean([x[key] for x in train]) / clients',
        'return _mean([x[key] for x in train])',
        'A message is as many times too large as there are clients.',
        (STUDIES + 'test_the_table_is_of_the_run_s_answers_and_messages',),
    ),
)
