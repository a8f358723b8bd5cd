"""Mistakes in FedPepTAO, in views of training clients, in choices' rows."""

from tests.mutants.mutation import Mutation

ALGORITHM = 'fedprompt_jax/algorithms/fedpeptao.py'
SERVER = 'fedprompt_jax/federated/layers/server_steps.py'
SCORES = 'fedprompt_jax/federated/layers/scores.py'
STAGES = 'fedprompt_jax/federated/layers/stages.py'
PARTIAL = 'fedprompt_jax/federated/layers/partial.py'
LANCZOS = 'fedprompt_jax/federated/layers/lanczos.py'
SPECTRUM = 'fedprompt_jax/federated/layers/spectrum.py'
SKEW = 'fedprompt_jax/data/label_skew.py'
AGREEMENT = 'fedprompt_jax/evaluation/agreement.py'
VIEWS = 'fedprompt_jax/experiment/views.py'
OF_REPORT = 'fedprompt_jax/report/views.py'
STATES = 'fedprompt_jax/bank/layer_states.py'
METHODS = 'fedprompt_jax/study/methods.py'
NUMPY = ('tests/fedpeptao_test.py::test_five_rounds_are_those_of_numpy',)
RUN = 'tests/fedpeptao_run_test.py::'
OWN = (RUN + 'test_the_own_view_is_each_client_s_prompt_on_its_part',)
PLAIN = ('tests/layer_scores_test.py::test_scores_are_those_of_plain_numpy',)
CHUNKS = (
    'tests/layer_scores_test.py::'
    'test_devices_in_chunks_weighted_by_their_examples',
)
CUT = (
    'tests/layer_scores_test.py::'
    'test_states_are_those_of_a_model_cut_behind_the_layer',
)
CHOSEN = (
    'tests/layer_scores_test.py::'
    'test_choices_are_of_those_that_have_something_to_send',
)
STAY = (
    'tests/fedpeptao_test.py::test_layers_that_stay_never_reach_the_server',
)
TABLE = ('tests/methods_table_test.py',)
ROWS = ('tests/choice_rows_test.py::test_losses_are_those_of_a_query_for_each',)

MUTATIONS = (
    Mutation(
        'the-new-variates-correct-the-step',
        SERVER,
        'moved, old = uploads.moved, uploads.variates\n    # 1. The mean step',
        'moved = uploads.moved\n'
        '    old = _times(1 / (uploads.steps * uploads.rate), moved)\n'
        '    # 1. The mean step',
        'The correction shrinks the step; it reduces no variance.',
        NUMPY,
    ),
    Mutation(
        'the-correction-forgets-the-steps',
        SERVER,
        'weight = uploads.steps * uploads.rate\n    corrected',
        'weight = uploads.rate * jnp.ones_like(uploads.steps)\n    corrected',
        'Devices with many steps are corrected too little.',
        NUMPY,
    ),
    Mutation(
        'the-momentum-is-not-normalised',
        SERVER,
        'lambda v, g: beta * v + (1 - beta) * g, memory.momentum, step',
        'lambda v, g: beta * v + g, memory.momentum, step',
        'The server moves ten times as far.',
        NUMPY,
    ),
    Mutation(
        'the-mean-variate-is-of-the-cohort',
        SERVER,
        'lambda c, d: c + share * d, memory.control, change',
        'lambda c, d: c + d / len(uploads.steps), memory.control, change',
        'c follows the last cohort.',
        NUMPY,
    ),
    Mutation(
        'the-code-s-chain-is-cut',
        SERVER,
        'return v, v\n',
        'return memory.momentum, v\n',
        'The released code has one buffer for all devices of a round.',
        NUMPY,
    ),
    Mutation(
        'the-code-corrects-its-first-round',
        SERVER,
        'jnp.where(first, at_first, later)',
        'jnp.where(False, at_first, later)',
        'The first round is not the plain mean.',
        NUMPY,
    ),
    Mutation(
        'all-layers-are-averaged',
        ALGORITHM,
        'moved = partial.only(state.flags, away)',
        'moved = away',
        'Layers that stay leave the device.',
        (*NUMPY, *STAY),
    ),
    Mutation(
        'devices-begin-with-the-server-s-layers',
        ALGORITHM,
        "return partial.join(state.flags, bank, clients['layers'])",
        'return bank',
        'What a device has learned of its own is lost in each round.',
        NUMPY,
    ),
    Mutation(
        'a-kept-optimizer-starts-anew',
        ALGORITHM,
        "opt_state = setup.at_round(clients['optimizer'], state.round)",
        'opt_state = setup.start_clients(start, state.round)',
        "fedpeptao.optimizer_state='kept' has no effect.",
        ('tests/fedpeptao_test.py::test_a_kept_optimizer_remembers',),
    ),
    Mutation(
        'absent-steps-count',
        ALGORITHM,
        'steps = num_steps(cohort.steps, len(cohort.clients))',
        'steps = np.full(len(cohort.clients), len(cohort.steps))',
        'Small devices have too small a variate.',
        NUMPY,
    ),
    Mutation(
        'flags-of-the-next-layer',
        PARTIAL,
        'lambda a, b, i=i: jnp.where(flags[i], a, b)',
        'lambda a, b, i=i: jnp.where(flags[i - 1], a, b)',
        'Another layer travels than was chosen.',
        (*NUMPY, *STAY),
    ),
    Mutation(
        'a-message-of-all-layers',
        PARTIAL,
        'strict=True) if f}',
        'strict=True)}',
        'The log counts bytes that nobody sends.',
        STAY,
    ),
    Mutation(
        'the-smallest-score-wins',
        SCORES,
        "signed = -scores if order == 'largest' else scores",
        'signed = scores',
        'fedpeptao.order has no effect.',
        ('tests/layer_scores_test.py::test_alike_examples_score_high',),
    ),
    Mutation(
        'a-share-is-rounded-down',
        SCORES,
        'int(np.ceil(round(share * candidates, 4)))',
        'int(round(share * candidates, 4))',
        'A layer less travels.',
        CHOSEN,
    ),
    Mutation(
        'eigenvalues-are-not-raised',
        SCORES,
        '0.0) + EPSILON\n    return float((np.log(values) + 1 / values)',
        'EPSILON)\n    return float((np.log(values) + 1 / values)',
        'Scores are not those of the released code.',
        PLAIN,
    ),
    Mutation(
        'scores-in-f32',
        SCORES,
        'matrix(one.astype(jnp.float64))',
        'matrix(one)',
        'The smallest eigenvalues, which count most, are rounded.',
        PLAIN,
    ),
    Mutation(
        'devices-weigh-the-same',
        STAGES,
        'weights = [probe.num_examples(d) for d in devices[chosen]]',
        'weights = [1 for d in devices[chosen]]',
        'Layers are ranked by small devices.',
        CHUNKS,
    ),
    Mutation(
        'repeated-rows-count',
        STAGES,
        'alike[:, i, : len(b), : len(b)]',
        'alike[:, i]',
        'A device with few examples has the largest score.',
        CHUNKS,
    ),
    Mutation(
        'layers-that-have-no-prefix-keep-one',
        STAGES,
        "if c.unselected == 'none':",
        "if c.unselected == 'local':",
        "unselected='none' trains all layers.",
        (RUN + 'test_layers_that_are_absent_stay_absent',),
    ),
    Mutation(
        'the-first-device-s-ratio-alone',
        STAGES,
        'mean = to_host(inner[1]).mean()',
        'mean = to_host(inner[1])[0]',
        'The share of layers is that of one device.',
        (RUN + 'test_the_ratio_is_estimated_from_curvatures',),
    ),
    Mutation(
        'stage-1-is-taken-over-without-its-layers',
        'fedprompt_jax/experiment/shared_stage.py',
        "other.glob('*.json')",
        "other.glob('*.jsn')",
        'A run does not say which layers have travelled.',
        (RUN + 'test_stage_1_is_taken_over_with_its_layers',),
    ),
    Mutation(
        'scores-of-other-examples-are-taken-over',
        STAGES,
        "settings = ('score', 'score_examples', 'score_devices')",
        "settings = ('score', 'score_devices')",
        'Layers are chosen by the scores of another run.',
        (RUN + 'test_scores_of_other_settings_are_not_taken_over',),
    ),
    Mutation(
        'scores-are-taken-over-by-nobody',
        'fedprompt_jax/experiment/shared_stage.py',
        'if stage.reads is not None and stage.steps:',
        'if False:',
        'Every run of a study scores the same layers again.',
        (
            RUN
            + 'test_layer_scores_are_taken_over_by_runs_that_train_otherwise',
        ),
    ),
    Mutation(
        'the-largest-client-s-last-steps-are-not-sampled',
        'fedprompt_jax/experiment/packers.py',
        'num_epochs=int(passes)',
        'num_epochs=0',
        'Steps of a single client are packed into grids of a whole cohort.',
        (
            'tests/packers_test.py::'
            'test_of_passes_over_all_examples_each_step_is_sampled',
        ),
    ),
    Mutation(
        'padding-is-read',
        STATES,
        'real = (position < lengths[:, None])[:, None, :]',
        'real = (position < tokens.shape[1])[:, None, :]',
        'Scores of encoders depend on how long the longest text is.',
        CUT,
    ),
    Mutation(
        'directions-are-not-orthogonal',
        LANCZOS,
        'for _ in range(2):\n        vector = vector - basis.T',
        'for _ in range(0):\n        vector = vector - basis.T',
        'The largest eigenvalues are found again and again.',
        ('tests/lanczos_test.py',),
    ),
    Mutation(
        'weights-of-the-last-row',
        LANCZOS,
        'Quadrature(nodes, vectors[0] ** 2)',
        'Quadrature(nodes, vectors[-1] ** 2)',
        'The spectrum has other shares.',
        ('tests/lanczos_test.py::test_weights_are_shares_of_the_probe',),
    ),
    Mutation(
        'three-values-are-a-plateau',
        SPECTRUM,
        'step /= 2',
        'step /= 1',
        'The search for a plateau does not end where steps are coarse.',
        (
            'tests/lanczos_test.py::'
            'test_steps_are_halved_until_the_shares_fall_slowly',
        ),
    ),
    Mutation(
        'clients-of-any-label',
        SKEW,
        'weights = np.where(there, prior, 0.0)',
        'weights = np.where(there, 1.0, 0.0)',
        'Devices do not differ in labels.',
        (
            'tests/label_skew_test.py::'
            'test_a_client_has_the_labels_that_it_asks_for',
        ),
    ),
    Mutation(
        'all-splits-are-dealt-alike',
        SKEW,
        "f'deal {purpose}'",
        "'deal'",
        'Draws of training and test data are the same.',
        ('tests/label_skew_test.py::test_it_is_drawn_by_seed_and_purpose',),
    ),
    Mutation(
        'f1-of-the-first-class',
        AGREEMENT,
        'hits = np.sum((chosen == 1) & (right == 1))',
        'hits = np.sum((chosen == 0) & (right == 0))',
        'MRPC has the F1 of sentences that differ.',
        (RUN + 'test_metrics_of_agreement',),
    ),
    Mutation(
        'all-clients-answer-with-the-first-prompt',
        VIEWS,
        'Request(owner, int(i))\n            for owner, client',
        'Request(0, int(i))\n            for owner, client',
        'The own view is of one client.',
        OWN,
    ),
    Mutation(
        'clients-weigh-by-their-examples',
        VIEWS,
        'means = sums[sizes > 0] / sizes[sizes > 0]',
        'means = np.full(len(sizes), sums.sum() / sizes.sum())',
        'The mean over clients is that over examples, without an error.',
        OWN,
    ),
    Mutation(
        'the-best-round-by-the-test-split',
        OF_REPORT,
        "key=lambda x: validated[x['round']]",
        "key=lambda x: x['global_accuracy']",
        'The table has the best of many test scores.',
        TABLE,
    ),
    Mutation(
        'ten-is-one',
        OF_REPORT,
        'for x in lines[-LAST:]',
        'for x in lines[-1:]',
        'The mean of the last ten is the last.',
        TABLE,
    ),
    Mutation(
        'the-largest-rate-is-best',
        METHODS,
        'best = max(values, key=validation)',
        'best = max(values)',
        'Nothing is chosen on validation.',
        TABLE,
    ),
    Mutation(
        'errors-of-seeds-add-up',
        METHODS,
        'math.sqrt(sum(e**2 for _, e in pairs)) / len(pairs)',
        'sum(e for _, e in pairs)',
        'Intervals grow with the number of seeds.',
        TABLE,
    ),
    Mutation(
        'the-layers-figure-fills-the-others',
        'fedprompt_jax/report/figures/layers.py',
        'if (i in chosen) == travels',
        'if (i in chosen) != travels',
        'The figure shows the layers that stay as those that travel.',
        ('tests/methods_table_test.py::test_the_chosen_layers_are_filled',),
    ),
    Mutation(
        'the-views-figure-has-one-line-twice',
        'fedprompt_jax/report/figures/views.py',
        "'own_clients_accuracy': (",
        "'own_clients_accuracy_': (",
        'The own view is not drawn.',
        ('tests/methods_table_test.py::test_three_lines_of_views',),
    ),
    Mutation(
        'the-layers-command-prints-the-first-layers',
        'fedprompt_jax/experiment/layer_choice.py',
        "mark = 'yes' if layer in chosen else ''",
        "mark = 'yes'",
        'All layers seem to travel.',
        (RUN + 'test_the_command_prints_the_same_layers',),
    ),
    Mutation(
        'clients-are-counted-by-the-order-of-their-instances',
        'fedprompt_jax/experiment/client_types.py',
        'np.add.at(counts, (clients.client_of, type_of[clients.order]), 1)',
        'np.add.at(counts, (clients.client_of, type_of[: len('
        'clients.order)]), 1)',
        'The table of labels is of other instances.',
        (RUN + 'test_the_command_prints_the_clients',),
    ),
    Mutation(
        'targets-read-each-other',
        'fedprompt_jax/data/examples.py',
        'return np.repeat(np.arange(len(parts)), parts)',
        'return np.repeat(np.arange(len(parts)) > 0, parts).astype(int)',
        'A choice is scored as if another one stood before it.',
        ROWS,
    ),
    Mutation(
        'choices-stand-one-behind-the-other',
        'fedprompt_jax/data/examples.py',
        'behind = (query + np.arange(n) for n in self._read)',
        'ends = np.cumsum([query, *self._read])\n'
        '        behind = (e + np.arange(n) for e, n in zip(ends, self._read))',
        'Later choices have the positions of a longer text.',
        ROWS,
    ),
)
