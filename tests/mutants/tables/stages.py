"""Mistakes in how the stages of a run are connected, saved and resumed."""

from tests.mutants.mutation import Mutation

_TRAIN = 'fedprompt_jax/experiment/train.py'
_PERSONALIZE = 'fedprompt_jax/experiment/personalize.py'
_BUILD = 'fedprompt_jax/experiment/build.py'
_PROMPTS = 'fedprompt_jax/experiment/prompts.py'
_RESUME = 'fedprompt_jax/experiment/resume.py'
_CONTINUING = 'fedprompt_jax/experiment/continuing.py'
_CHECKPOINT = 'fedprompt_jax/experiment/checkpoint.py'
_INTEGRITY = 'fedprompt_jax/experiment/integrity.py'
_STAGE = 'fedprompt_jax/experiment/stage.py'
_FINE_TUNE = 'fedprompt_jax/personalization/fine_tune.py'
_METHODS = 'fedprompt_jax/personalization/__init__.py'
_GUARD = 'fedprompt_jax/experiment/guard.py'
_LAST_LOADED = 'fedprompt_jax/experiment/last_loaded.py'
_PREFETCH = 'fedprompt_jax/experiment/prefetch.py'

_ROUNDS = 'tests/rounds_wiring_test.py::'
_VALIDATION = 'tests/validation_wiring_test.py::'
_SELECTION = 'tests/selection_test.py::'
_EPOCHS = 'tests/personalize_wiring_test.py::'
_WIRING = 'tests/build_wiring_test.py::'
_LEFT = 'tests/prompts_test.py::'
_RESUMED = 'tests/resume_test.py::'
_CHANGES = 'tests/changes_test.py::'
_SAVED = 'tests/checkpoints_test.py::'
_SEALED = 'tests/run_folder_damage_test.py::'

MUTATIONS = (
    # --- Validation, and the prompt that is chosen -----------------------
    Mutation(
        'validation-scores-the-best-prompt-so-far',
        _TRAIN,
        'bank = replicate(state.server.params, copies)',
        'bank = replicate(state.best, copies)',
        'The chosen round is wrong, and so is the validation curve.',
        (
            _VALIDATION + 'test_the_server_s_prompt_is_scored_on_the_validation'
            '_clients',
        ),
    ),
    Mutation(
        'validation-is-on-the-test-clients',
        _TRAIN,
        'clients = experiment.data.validation.local',
        'clients = experiment.data.held_out.local',
        'The prompt is chosen on the data that it is tested on.',
        (
            _VALIDATION + 'test_the_server_s_prompt_is_scored_on_the_validation'
            '_clients',
        ),
    ),
    Mutation(
        'validation-is-a-mean-over-instances',
        _TRAIN,
        'rows = [summary(scores, at, experiment.config.loss) for at in',
        'at = np.concatenate(places)\n'
        '    rows = [summary(scores, at, experiment.config.loss) for _ in',
        'Large clients weigh more in the choice than small ones.',
        (_VALIDATION + 'test_validation_is_the_mean_of_the_clients_means',),
    ),
    Mutation(
        'validation-s-standard-error-is-of-a-population',
        _TRAIN,
        'ddof=len(rows) > 1)',
        'ddof=0)',
        'Error bars of validation are too short.',
        (
            _VALIDATION + 'test_the_standard_error_of_two_clients_is_half_their'
            '_difference',
        ),
    ),
    Mutation(
        'validation-s-deviation-is-its-error',
        _TRAIN,
        'error = spread / np.sqrt(len(rows)) if',
        'error = spread if',
        'Error bars of validation do not shrink with the clients.',
        (
            _VALIDATION + 'test_the_standard_error_of_two_clients_is_half_their'
            '_difference',
        ),
    ),
    Mutation(
        'clients-are-cut-apart-one-too-late',
        _TRAIN,
        'np.split(np.arange(len(requests)), ends[:-1])',
        'np.split(np.arange(len(requests)), ends[:-1] + 1)',
        "A client's mean holds an instance of the next one.",
        (_VALIDATION + 'test_validation_is_the_mean_of_the_clients_means',),
    ),
    Mutation(
        'the-untrained-prompt-may-be-chosen',
        _TRAIN,
        'if int(state.server.round) and now > best:',
        'if now > best:',
        'Stage 2 starts where no stage 1 was.',
        (_SELECTION + 'test_the_best_trained_prompt_is_chosen',),
    ),
    Mutation(
        'of-equal-prompts-the-latest-is-chosen',
        _TRAIN,
        'and now > best:',
        'and now >= best:',
        'More rounds are reported than were needed.',
        (_SELECTION + 'test_the_best_trained_prompt_is_chosen',),
    ),
    Mutation(
        'of-equal-scores-the-loss-does-not-decide',
        _TRAIN,
        'best = [float(state.best_score), -float(state.best_loss)]',
        'best = [float(state.best_score), -np.inf]',
        'Where all score zero, the choice is that of the last validation.',
        (_SELECTION + 'test_the_best_trained_prompt_is_chosen',),
    ),
    Mutation(
        'rouge-l-decides-also-where-answers-are-chosen',
        _TRAIN,
        'metric = leading_metric([len(c) for c in scores.choice_losses])',
        "metric = 'rouge_l'",
        'The prompt of a classification is chosen by overlapping letters.',
        (_SELECTION + 'test_where_answers_are_chosen_accuracy_decides',),
    ),
    Mutation(
        'a-score-of-zero-is-no-validation',
        _TRAIN,
        'if float(state.best_score) < 0:',
        'if float(state.best_score) <= 0:',
        'Where all score zero, the last prompt is taken, not the best loss.',
        (_SELECTION + 'test_the_best_trained_prompt_is_chosen',),
    ),
    Mutation(
        'the-last-prompt-goes-on-without-its-validation',
        _TRAIN,
        'if every and rounds % every:',
        'if every and not rounds % every:',
        'A run whose rounds are no multiple never considers its last prompt.',
        (
            _SELECTION + 'test_the_last_prompt_is_a_candidate_wherever_the_run'
            '_ends',
        ),
    ),
    Mutation(
        'a-choice-that-was-kept-is-made-again',
        _TRAIN,
        '    if choice is None:\n',
        '    if True:\n',
        'Scores under other settings are compared, and the prompt changes.',
        (
            _SELECTION + 'test_the_last_prompt_is_a_candidate_wherever_the_run'
            '_ends',
        ),
    ),
    # --- Rounds ----------------------------------------------------------
    Mutation(
        'validation-comes-a-round-late',
        _TRAIN,
        'if every and done % every == 0:',
        'if every and done % every == 1:',
        'config.validation.every=5 validates after rounds 1, 6, 11.',
        (
            _ROUNDS + 'test_the_initial_prompt_is_validated_and_then_every_few'
            '_rounds',
        ),
    ),
    Mutation(
        'rounds-are-logged-from-zero',
        _TRAIN,
        '        round=number,\n        **done.metrics,',
        '        round=number - 1,\n        **done.metrics,',
        'Curves and the chosen round are shifted against each other.',
        (
            _ROUNDS
            + 'test_a_round_is_logged_under_its_number_with_what_it_cost',
        ),
    ),
    Mutation(
        'a-resumed-run-starts-at-round-one',
        _TRAIN,
        'rounds = range(first, config.rounds)',
        'rounds = range(0, config.rounds)',
        'A run that was stopped has more rounds than it was asked for.',
        (_ROUNDS + 'test_a_stopped_run_saves_its_round_and_resumes_after_it',),
    ),
    Mutation(
        'the-cohort-of-a-round-is-that-of-the-first',
        _TRAIN,
        '    algorithm = experiment.algorithm\n',
        '    algorithm = experiment.algorithm\n'
        '    cohort = experiment.cohort(0)\n',
        'Only the clients of the first cohort are trained on.',
        (
            _ROUNDS
            + 'test_a_round_is_logged_under_its_number_with_what_it_cost',
        ),
    ),
    Mutation(
        'traffic-is-that-of-one-client',
        _TRAIN,
        'algorithm.sent(server), len(cohort.clients)',
        'algorithm.sent(server), 1',
        'The traffic of a cohort is divided by its size.',
        (
            _WIRING
            + 'test_federated_training_sends_a_prompt_each_way_for_every'
            '_client',
        ),
    ),
    Mutation(
        'a-non-finite-prompt-is-logged-and-saved',
        _TRAIN,
        '    _require_finite(done, number, run)\n',
        '',
        'A diverged run trains NaN to its end, and no checkpoint is good.',
        (_ROUNDS + 'test_a_round_that_diverges_is_neither_logged_nor_saved',),
    ),
    Mutation(
        'the-last-round-is-not-saved',
        _STAGE,
        'if last or stop or number % stage.save_every == 0:',
        'if stop or number % stage.save_every == 0:',
        'A run that is continued computes its last rounds again.',
        (_ROUNDS + 'test_every_few_rounds_are_saved_and_the_last_one',),
    ),
    Mutation(
        'a-round-that-was-asked-to-stop-is-not-saved',
        _STAGE,
        'if last or stop or number % stage.save_every == 0:',
        'if last or number % stage.save_every == 0:',
        'SIGTERM costs up to config.checkpoint.every rounds.',
        (_ROUNDS + 'test_a_stopped_run_saves_its_round_and_resumes_after_it',),
    ),
    Mutation(
        'checkpoints-come-a-round-late',
        _STAGE,
        'if last or stop or number % stage.save_every == 0:',
        'if last or stop or number % stage.save_every == 1:',
        'config.checkpoint.every=3 saves after rounds 1, 4, 7.',
        (_ROUNDS + 'test_every_few_rounds_are_saved_and_the_last_one',),
    ),
    Mutation(
        'every-checkpoint-has-the-best-score',
        _TRAIN,
        'score if is_best else None)',
        'score)',
        'The checkpoint that stays as the best holds another prompt.',
        (
            _ROUNDS + 'test_a_checkpoint_has_a_score_where_its_prompt_is_the'
            '_best',
        ),
    ),
    Mutation(
        'every-process-warns-of-a-prompt-that-does-not-move',
        _TRAIN,
        '        run.writes\n        and number ==',
        '        number ==',
        'Processes without logs fail in the third round.',
        (_ROUNDS + 'test_a_prompt_that_learns_nothing_is_reported_once',),
    ),
    Mutation(
        'the-guard-looks-a-round-too-late',
        _TRAIN,
        'and number == guard.ROUNDS',
        'and number - 1 == guard.ROUNDS',
        'A run of three rounds that learns nothing says nothing.',
        (_ROUNDS + 'test_a_prompt_that_learns_nothing_is_reported_once',),
    ),
    # --- Personalization -------------------------------------------------
    Mutation(
        'stage-2-starts-from-the-initial-prompt',
        _PERSONALIZE,
        'clients = method(experiment).init(params)',
        'clients = method(experiment).init(experiment.params)',
        'Stage 1 has no effect on any personalized score.',
        (_EPOCHS + 'test_every_client_starts_from_the_global_prompt',),
    ),
    Mutation(
        'l2-pulls-to-the-initial-prompt',
        _PERSONALIZE,
        'clients = method(experiment).init(params)',
        'how = method(experiment)\n'
        '    start = how.init(experiment.params).opt_state\n'
        '    clients = how.init(params).replace(opt_state=start)',
        "Profit's fourth observation is about the global prompt.",
        (_EPOCHS + 'test_l2_pulls_toward_the_global_prompt',),
    ),
    Mutation(
        'the-global-row-is-of-the-initial-prompt',
        _PERSONALIZE,
        "Answer('global', params, alpha=0.0, shared=True)",
        "Answer('global', experiment.params, alpha=0.0, shared=True)",
        'Two rows of every table are wrong, and every gain.',
        (_EPOCHS + 'test_anchors_are_the_initial_and_the_global_prompt',),
    ),
    Mutation(
        'l2-pulls-to-zero',
        _FINE_TUNE,
        'return State(bank, jax.vmap(tx.init)(bank))',
        'start = jax.tree.map(lambda x: 0 * x, bank)\n'
        '        return State(bank, jax.vmap(tx.init)(start))',
        "Profit's fourth observation is about the global prompt.",
        (_EPOCHS + 'test_l2_pulls_toward_the_global_prompt',),
    ),
    Mutation(
        'the-pull-comes-behind-the-optimizer',
        _FINE_TUNE,
        '        pull_to_start(c.l2) if c.l2 else optax.identity(),\n'
        '        optimizers.make(c.optimizer, c.learning_rate),\n',
        '        optimizers.make(c.optimizer, c.learning_rate),\n'
        '        pull_to_start(c.l2) if c.l2 else optax.identity(),\n',
        'The objective is not the documented one.',
        (
            _EPOCHS + 'test_the_optimizer_steps_on_the_gradient_of_loss_and'
            '_penalty',
        ),
    ),
    Mutation(
        'stage-2-has-the-optimizer-of-the-clients',
        _FINE_TUNE,
        'optimizers.make(c.optimizer, c.learning_rate),',
        'optimizers.make(setup.config.client.optimizer, c.learning_rate),',
        'config.personalization.optimizer has no effect.',
        (
            _EPOCHS + 'test_the_optimizer_steps_on_the_gradient_of_loss_and'
            '_penalty',
        ),
    ),
    Mutation(
        'alpha-is-the-share-of-the-global-prompt',
        _FINE_TUNE,
        "Answer('averaged', mix(alpha, state.bank, params), alpha)",
        "Answer('averaged', mix(1 - alpha, state.bank, params), alpha)",
        'The trade-off curve is mirrored.',
        (
            _EPOCHS + 'test_an_average_of_alpha_is_that_much_of_the_personal'
            '_prompt',
        ),
    ),
    Mutation(
        'personal-and-shared-are-swapped-in-the-mix',
        _FINE_TUNE,
        'lambda p, g: alpha * p + (1 - alpha) * g, bank, params',
        'lambda p, g: alpha * g + (1 - alpha) * p, bank, params',
        'The trade-off curve is mirrored.',
        (
            'tests/personalization_laws_test.py'
            '::test_mixing_runs_from_the_global_to_the_personal_prompt',
        ),
    ),
    Mutation(
        'the-ends-of-the-trade-off-are-scored-again',
        _FINE_TUNE,
        'if alpha not in (0, 1)',
        'if alpha not in (0,)',
        'The personalized prompt has two rows, of which means are taken.',
        (_EPOCHS + 'test_rows_say_which_run_they_are_of',),
    ),
    Mutation(
        'the-initial-row-is-of-the-global-prompt',
        _PERSONALIZE,
        "Answer('initial', experiment.params, alpha=0.0, shared=True)",
        "Answer('initial', params, alpha=0.0, shared=True)",
        'Two rows of every table are wrong, and every gain.',
        (_EPOCHS + 'test_anchors_are_the_initial_and_the_global_prompt',),
    ),
    Mutation(
        'stage-2-takes-the-batches-of-stage-1',
        _PERSONALIZE,
        'batch_size=config.personalization.batch_size,',
        'batch_size=config.batch_size,',
        'An epoch of stage 2 has another number of steps.',
        (_EPOCHS + 'test_an_epoch_has_the_batch_size_of_personalization',),
    ),
    Mutation(
        'every-epoch-is-the-first-one',
        _PERSONALIZE,
        '        epoch=number,\n    )',
        '        epoch=0,\n    )',
        'Batches repeat, and prompts overfit sooner.',
        (
            _EPOCHS
            + 'test_every_epoch_shuffles_anew_and_sees_all_examples_once',
        ),
    ),
    Mutation(
        'epochs-do-not-depend-on-the-seed',
        _PERSONALIZE,
        'seed=config.seed,\n        epoch',
        'seed=0,\n        epoch',
        'Runs of several seeds are not independent.',
        (_EPOCHS + 'test_a_seed_decides_the_order_of_the_examples',),
    ),
    Mutation(
        'clients-train-on-what-they-are-scored-on',
        _PERSONALIZE,
        '        held_out.train,\n',
        '        held_out.local,\n',
        'Personalized scores are those of examples that were trained on.',
        (
            _EPOCHS
            + 'test_every_epoch_shuffles_anew_and_sees_all_examples_once',
        ),
    ),
    Mutation(
        'the-optimizer-of-a-client-restarts-every-epoch',
        _FINE_TUNE,
        'return State(local.bank, local.opt_state), local',
        'return State(local.bank, state.opt_state), local',
        "Adam's momentum is lost after every epoch.",
        (
            _EPOCHS + 'test_the_optimizer_steps_on_the_gradient_of_loss_and'
            '_penalty',
        ),
    ),
    Mutation(
        'epochs-are-scored-one-too-late',
        _PERSONALIZE,
        'if epoch % c.every == 0:',
        'if epoch % c.every == 1:',
        'Rows of epoch 2 are of epoch 1, and the last one is missing.',
        (
            _EPOCHS + 'test_a_row_of_an_epoch_is_the_score_after_that_many'
            '_epochs',
        ),
    ),
    Mutation(
        'the-last-epoch-is-not-scored',
        _PERSONALIZE,
        '    if c.epochs % c.every:\n',
        '    if c.epochs < c.every:\n',
        'The table shows clients that were trained less than asked.',
        (
            _EPOCHS + 'test_a_row_of_an_epoch_is_the_score_after_that_many'
            '_epochs',
        ),
    ),
    Mutation(
        'a-resumed-stage-2-starts-at-its-first-epoch',
        _PERSONALIZE,
        '        range(first, c.epochs),\n',
        '        range(c.epochs),\n',
        'Clients of a run that was stopped train longer.',
        (
            _EPOCHS + 'test_a_stopped_stage_saves_its_epoch_and_resumes_after'
            '_it',
        ),
    ),
    Mutation(
        'the-last-epoch-is-not-saved',
        _STAGE,
        'last, stop = number == stage.total, preemption.asked()',
        'last, stop = number > stage.total, preemption.asked()',
        'A run that is continued computes its last epochs again.',
        (_EPOCHS + 'test_every_few_epochs_are_saved_and_the_last_one',),
    ),
    Mutation(
        'a-stage-says-that-it-stopped-a-step-before',
        _STAGE,
        '        if stop:\n            raise stopped(stage.unit, number)',
        '        if stop:\n            raise stopped(stage.unit, number - 1)',
        'SIGTERM costs up to config.checkpoint.every epochs.',
        (
            _EPOCHS + 'test_a_stopped_stage_saves_its_epoch_and_resumes_after'
            '_it',
        ),
    ),
    Mutation(
        'scores-of-the-anchors-are-not-saved',
        _PERSONALIZE,
        '    score_without_model(experiment, run)\n'
        '    save(checkpoints, run, state)\n',
        '    save(checkpoints, run, state)\n'
        '    score_without_model(experiment, run)\n',
        'A run that is stopped in its first epoch loses three rows.',
        (
            _EPOCHS + 'test_the_checkpoint_before_the_first_epoch_has_the'
            '_anchors',
        ),
    ),
    Mutation(
        'rows-have-alpha-for-lambda',
        _PERSONALIZE,
        "'lambda': config.personalization.l2,",
        "'lambda': answer.alpha,",
        'Runs of several lambdas cannot be told apart in the table.',
        (_EPOCHS + 'test_rows_say_which_run_they_are_of',),
    ),
    Mutation(
        'averages-are-rows-of-the-first-epoch',
        _PERSONALIZE,
        'answers = personal.last_answers(state.clients, state.shared)\n'
        '        score_all(experiment, run, answers, c.epochs)',
        'answers = personal.last_answers(state.clients, state.shared)\n'
        '        score_all(experiment, run, answers, 1)',
        'The trade-off is drawn for prompts of another epoch.',
        (_EPOCHS + 'test_rows_say_which_run_they_are_of',),
    ),
    # --- What a config names ---------------------------------------------
    Mutation(
        'clients-step-with-the-server-s-rate',
        'fedprompt_jax/experiment/stage_one.py',
        'scheduled(config.client, config.rounds)',
        'scheduled(config.server, config.rounds)',
        'The most important number of a run is another.',
        (
            _WIRING
            + 'test_clients_are_weighted_as_aggregation_says_at_the_rates'
            '_of_the_config',
        ),
    ),
    Mutation(
        'config-aggregation-is-ignored',
        'fedprompt_jax/experiment/stage_one.py',
        'aggregates.make(config.aggregation)',
        "aggregates.make('uniform')",
        'Weighing clients by their examples has no effect.',
        (
            _WIRING
            + 'test_clients_are_weighted_as_aggregation_says_at_the_rates'
            '_of_the_config',
        ),
    ),
    Mutation(
        'the-initial-prompt-does-not-depend-on-the-seed',
        _BUILD,
        "generator(config.seed, 'initial prompt')",
        "generator(0, 'initial prompt')",
        'Runs of several seeds have one starting point.',
        (_WIRING + 'test_the_initial_prompt_is_a_function_of_the_seed',),
    ),
    Mutation(
        'cohorts-do-not-depend-on-the-config-s-seed',
        _BUILD,
        'seed=config.seed,\n        round=round,',
        'seed=0,\n        round=round,',
        'Runs of several seeds train on the same cohorts.',
        (
            _WIRING + 'test_who_is_in_a_cohort_depends_on_the_seed_of_the'
            '_config',
        ),
    ),
    Mutation(
        'every-round-has-the-first-cohort',
        _BUILD,
        '        round=round,\n    )',
        '        round=0,\n    )',
        'Most clients are never trained on.',
        (_WIRING + 'test_a_cohort_is_of_the_sizes_and_the_seed_of_the_config',),
    ),
    Mutation(
        'local-steps-and-batch-size-are-swapped',
        _BUILD,
        'num_steps=config.local_steps,\n'
        '        num_epochs=config.local_epochs,\n'
        '        batch_size=config.batch_size,',
        'num_steps=config.batch_size,\n'
        '        num_epochs=config.local_epochs,\n'
        '        batch_size=config.local_steps,',
        'Clients take many small steps instead of few large ones.',
        (_WIRING + 'test_a_cohort_is_of_the_sizes_and_the_seed_of_the_config',),
    ),
    Mutation(
        'centralized-training-has-a-population-of-clients',
        _BUILD,
        'Pooled(data.population) if pooled else data.population',
        'data.population',
        'The baseline trains on one small client a round.',
        (
            _WIRING + 'test_centralized_training_is_of_one_client_with_all_data'
            '_and_no_traffic',
        ),
    ),
    Mutation(
        'config-loss-does-not-reach-the-simulation',
        _BUILD,
        '        config.loss,\n        devices.rows,\n        config.packing',
        "        'sequence',\n        devices.rows,\n        config.packing",
        'config.loss has no effect on training.',
        (
            _WIRING + 'test_both_simulations_have_the_loss_and_the_model_of_the'
            '_config',
        ),
    ),
    Mutation(
        'the-plain-simulation-is-never-used',
        _BUILD,
        "if config.simulation == 'vmap':",
        "if config.simulation == 'vmapped':",
        'A comparison of both simulations compares one with itself.',
        (
            _WIRING + 'test_both_simulations_have_the_loss_and_the_model_of_the'
            '_config',
        ),
    ),
    Mutation(
        'a-model-is-cached-without-its-quantization',
        _BUILD,
        '(folder, dtype, quantization, mesh, fsdp),',
        '(folder, dtype, mesh, fsdp),',
        'A study over quantizations runs the first one twice.',
        (_WIRING + 'test_a_model_is_loaded_again_where_it_is_another',),
    ),
    Mutation(
        'a-model-is-cached-without-its-dtype',
        _BUILD,
        '(folder, dtype, quantization, mesh, fsdp),',
        '(folder, quantization, mesh, fsdp),',
        'A study over dtypes runs the first one twice.',
        (_WIRING + 'test_a_model_is_loaded_again_where_it_is_another',),
    ),
    Mutation(
        'a-folder-is-cached-without-its-source',
        _BUILD,
        "'folder',\n        (config.model.source, cache_dir),",
        "'folder',\n        (cache_dir,),",
        'A study over models runs the first one again and again.',
        (_WIRING + 'test_another_folder_is_another_model',),
    ),
    Mutation(
        'f32-is-multiplied-in-fewer-bits',
        _BUILD,
        "exact = 'highest' if config.model.dtype == 'float32' else None",
        'exact = None',
        'A GPU computes a model of f32 in TF32.',
        (_WIRING + 'test_numbers_of_32_bits_are_multiplied_as_such',),
    ),
    Mutation(
        'activations-are-never-recomputed',
        _BUILD,
        'Transformer(lm.config, c.remat, gather, kernel, c.remat_mlp)',
        'Transformer(lm.config, False, gather, kernel, c.remat_mlp)',
        'config.model.remat has no effect, and a run is out of memory.',
        (_WIRING + 'test_the_model_is_cut_and_computed_as_the_config_says',),
    ),
    Mutation(
        'answers-are-chosen-by-the-default-rule',
        _BUILD,
        '        config.evaluation.choices,\n',
        "        'sum',\n",
        'config.evaluation.choices has no effect.',
        (_WIRING + 'test_a_scorer_has_the_limits_and_the_rule_of_the_config',),
    ),
    Mutation(
        'outputs-are-as-long-as-a-batch',
        _BUILD,
        'max_new_tokens=config.evaluation.max_new_tokens,',
        'max_new_tokens=config.evaluation.batch_size,',
        'Answers run on behind their length, and ROUGE-L falls.',
        (_WIRING + 'test_a_scorer_has_the_limits_and_the_rule_of_the_config',),
    ),
    Mutation(
        'one-of-several-end-tokens-ends-an-output',
        _BUILD,
        'eos_ids=lm.tokenizer.eos_ids,',
        'eos_ids=lm.tokenizer.eos_ids[:1],',
        'Answers run on behind their end.',
        (_WIRING + 'test_an_output_ends_at_each_of_the_end_tokens',),
    ),
    Mutation(
        'a-prompt-s-text-begins-with-a-special-token',
        _BUILD,
        'return lm.tokenizer.encode([parts], False)[0]',
        'return lm.tokenizer.encode([parts], True)[0]',
        'A prompt that starts as a text has a token more than the text.',
        (_WIRING + 'test_a_prompt_of_a_text_begins_with_the_text',),
    ),
    # --- The prompts that a run leaves -----------------------------------
    Mutation(
        'the-initial-prompt-is-saved-as-the-global-one',
        _PROMPTS,
        "save('global', params)",
        "save('global', initial)",
        'What is shared as the result of a run is where it started.',
        (_LEFT + 'test_every_folder_has_the_prompt_of_its_name',),
    ),
    Mutation(
        'every-client-is-saved-the-first-one-s-prompt',
        _PROMPTS,
        'params = jax.tree.map(lambda x, i=i: x[i], bank)',
        'params = jax.tree.map(lambda x: x[0], bank)',
        'Saved prompts are not those that were scored.',
        (_LEFT + 'test_every_folder_has_the_prompt_of_its_name',),
    ),
    Mutation(
        'a-client-s-folder-has-its-row-for-its-id',
        _PROMPTS,
        'save(client_folder(int(client), name), params)',
        'save(client_folder(i, name), params)',
        'Saved prompts are found under the names of other clients.',
        (_LEFT + 'test_every_folder_has_the_prompt_of_its_name',),
    ),
    Mutation(
        'prompts-of-nan-are-saved',
        _PROMPTS,
        '        if finite[i]:\n',
        '        if finite.any():\n',
        'A client that diverged has a prompt that says nothing.',
        (_LEFT + 'test_a_client_that_diverged_has_no_prompt',),
    ),
    Mutation(
        'every-process-writes-the-prompts',
        _PROMPTS,
        '    if not writes:\n        return\n',
        '',
        'Processes write one file at the same time.',
        (_LEFT + 'test_other_processes_write_nothing',),
    ),
    Mutation(
        'what-a-killed-start-left-stays',
        _PROMPTS,
        '    shutil.rmtree(folder, ignore_errors=True)\n',
        '',
        'Half-written files lie among the prompts.',
        (_LEFT + 'test_what_a_killed_start_left_is_removed',),
    ),
    Mutation(
        'names-are-cut-after-so-many-letters',
        _PROMPTS,
        'safe.encode()[:_NAME_BYTES].decode(errors=',
        'safe[:_NAME_BYTES].encode().decode(errors=',
        'A file system refuses the folder of a client with a long name.',
        (
            'tests/client_names_test.py'
            '::test_a_name_makes_a_folder_that_every_system_takes',
        ),
    ),
    # --- Resuming --------------------------------------------------------
    Mutation(
        'stage-1-goes-before-stage-2',
        _RESUME,
        "return ['personalize', 'train', *",
        "return ['train', 'personalize', *",
        'The log is cut back to stage 1 and stage 2 resumes: rows are lost.',
        (
            _RESUMED + 'test_a_run_resumes_at_the_latest_checkpoint_that_is'
            '_whole',
        ),
    ),
    Mutation(
        'a-damaged-checkpoint-is-resumed-from',
        _RESUME,
        '            if fault:\n',
        '            if fault and point is not None:\n',
        'A run resumes from numbers that it never computed.',
        (
            _RESUMED + 'test_a_run_resumes_at_the_latest_checkpoint_that_is'
            '_whole',
        ),
    ),
    Mutation(
        'the-earliest-whole-checkpoint-is-resumed-from',
        _RESUME,
        'elif point is None:',
        'else:',
        'The log is cut back further than the state.',
        (
            _RESUMED + 'test_a_run_resumes_at_the_latest_checkpoint_that_is'
            '_whole',
        ),
    ),
    Mutation(
        'nothing-but-damage-is-a-new-run',
        _RESUME,
        'if any(int(damage.folder.name) for damage in damages):',
        'if all(int(damage.folder.name) for damage in damages):',
        'A run of days starts over without a word.',
        (_RESUMED + 'test_nothing_but_damage_is_refused',),
    ),
    Mutation(
        'damage-overwrites-earlier-damage',
        _RESUME,
        '    while path.exists():\n',
        '    while path.is_file():\n',
        'What could have been repaired is lost.',
        (_RESUMED + 'test_damage_to_the_same_step_is_kept_apart',),
    ),
    Mutation(
        'lines-after-the-checkpoint-stay',
        _RESUME,
        "run.cut_logs(point.notes['log_sizes'] if point else none)",
        'run.cut_logs(run.log_sizes() if point else none)',
        'Rounds after a restart are in the log twice.',
        (_RESUMED + 'test_what_came_after_the_checkpoint_is_cut_off',),
    ),
    Mutation(
        'lines-of-lost-rounds-stay',
        _RESUME,
        "run.cut_logs(point.notes['log_sizes'] if point else none)",
        "run.cut_logs(point.notes['log_sizes'] if point else run.log_sizes())",
        'The log of a run that starts over holds rounds of the one before.',
        (_RESUMED + 'test_lost_rounds_are_reported',),
    ),
    Mutation(
        'changed-logs-are-accepted',
        _RESUME,
        '        run.check_logs(point.notes)\n',
        '        pass\n',
        'Numbers that somebody changed stand beside those of the run.',
        (_RESUMED + 'test_a_log_that_was_changed_is_refused',),
    ),
    Mutation(
        'changed-files-of-a-complete-run-are-accepted',
        _RESUME,
        '        run.check_complete()\n',
        '        pass\n',
        'A run is continued that is not what it was.',
        (_RESUMED + 'test_a_changed_file_of_a_complete_run_is_refused',),
    ),
    Mutation(
        'a-complete-run-without-checkpoints-starts-over',
        _RESUME,
        '        if run.finished:\n            raise',
        '        if run.finished and not run.changes:\n            raise',
        'The results of a complete run are deleted.',
        (
            _RESUMED
            + 'test_a_complete_run_without_checkpoints_cannot_be_continued',
        ),
    ),
    Mutation(
        'stage-2-of-the-old-prompt-stays',
        _RESUME,
        '    if anew:\n        shutil.rmtree',
        '    if not anew:\n        shutil.rmtree',
        'More rounds have no effect on personalized scores.',
        (_RESUMED + 'test_more_rounds_resume_after_the_last_and_choose_again',),
    ),
    Mutation(
        'a-continued-run-is-still-complete',
        _RESUME,
        "_OF_COMPLETE = ('complete', 'finished', 'sha256', 'seconds')",
        "_OF_COMPLETE = ('finished', 'sha256', 'seconds')",
        'A killed continuation is taken for the result.',
        (_RESUMED + 'test_more_rounds_resume_after_the_last_and_choose_again',),
    ),
    Mutation(
        'the-choice-of-fewer-rounds-is-kept',
        _RESUME,
        'if start == continuing.Start.ROUND:',
        'if start != continuing.Start.ROUND:',
        'More rounds are trained, and the old prompt goes to stage 2.',
        (_RESUMED + 'test_more_rounds_resume_after_the_last_and_choose_again',),
    ),
    Mutation(
        'an-earlier-kept-choice-is-forgotten',
        _RESUME,
        "info.get('kept_choice', info.get('chosen_round'))",
        "info.get('chosen_round', info.get('kept_choice'))",
        'A second change of the evaluation changes the prompt.',
        (
            _RESUMED + 'test_another_evaluation_starts_stage_2_with_the_same'
            '_prompt',
        ),
    ),
    Mutation(
        'the-changed-config-is-not-written',
        _RESUME,
        '        _record(run)\n        run.accept_changes()',
        '        _record(run)',
        'Every start finds the old config and starts stage 2 again.',
        (_RESUMED + 'test_more_rounds_resume_after_the_last_and_choose_again',),
    ),
    # --- Changes of the config -------------------------------------------
    Mutation(
        'the-latest-start-that-a-change-needs',
        _CONTINUING,
        'return min((KEYS[key] for key in changes)',
        'return max((KEYS[key] for key in changes)',
        'Of two changes, one has no effect.',
        (_CHANGES + 'test_the_earliest_start_that_a_change_needs_counts',),
    ),
    Mutation(
        'a-changed-evaluation-keeps-stage-2',
        _CONTINUING,
        'start(changes) <= Start.STAGE_2',
        'start(changes) < Start.STAGE_2',
        'Rows of one table are scored under different settings.',
        (_CHANGES + 'test_the_earliest_start_that_a_change_needs_counts',),
    ),
    Mutation(
        'a-change-of-epochs-is-one-of-averages',
        _CONTINUING,
        "'personalization.epochs': Start.EPOCH,",
        "'personalization.epochs': Start.AVERAGES,",
        'run.json says that only averages were scored again.',
        (_CHANGES + 'test_the_earliest_start_that_a_change_needs_counts',),
    ),
    Mutation(
        'as-many-rounds-as-are-done-are-too-few',
        _CONTINUING,
        'changes[key][1] < count',
        'changes[key][1] <= count',
        'A stopped run cannot end where it is.',
        (_CHANGES + 'test_less_than_is_done_is_refused',),
    ),
    Mutation(
        'epochs-that-start-again-are-counted-as-done',
        _CONTINUING,
        '    if not restarts_stage_2(changes):\n',
        '    if changes:\n',
        'A run of more rounds may not have fewer epochs.',
        (_CHANGES + 'test_less_than_is_done_is_refused',),
    ),
    Mutation(
        'validations-under-other-settings-are-not-reported',
        _CONTINUING,
        "if key in ('evaluation.choices', 'evaluation.max_new_tokens')",
        "if key in ('evaluation.max_new_tokens',)",
        'The choice of the prompt mixes two rules, and nobody knows.',
        (_CHANGES + 'test_validations_under_other_settings_are_reported',),
    ),
    # --- Checkpoints -----------------------------------------------------
    Mutation(
        'config-checkpoint-keep-is-ignored',
        _CHECKPOINT,
        'policies.LatestN(max(keep, LEAST)),',
        'policies.LatestN(LEAST),',
        'Fewer checkpoints stay than the config promises.',
        (_SAVED + 'test_the_latest_few_stay_and_the_best',),
    ),
    Mutation(
        'one-checkpoint-may-be-all-there-is',
        _CHECKPOINT,
        'policies.LatestN(max(keep, LEAST)),',
        'policies.LatestN(keep),',
        'Damage to the latest checkpoint is the end of the run.',
        (_SAVED + 'test_the_latest_few_stay_and_the_best',),
    ),
    Mutation(
        'the-best-checkpoint-is-not-kept',
        _CHECKPOINT,
        '                    policies.BestN(get_metric_fn='
        'lambda m: m[metric], n=1),\n',
        '',
        "The prompt's round, with the server's state, cannot be gone back to.",
        (_SAVED + 'test_the_latest_few_stay_and_the_best',),
    ),
    Mutation(
        'a-checkpoint-without-a-score-ranks-first',
        _CHECKPOINT,
        '-1.0 if score is None else score',
        '1e9 if score is None else score',
        'What stays as the best was never validated.',
        (_SAVED + 'test_the_latest_few_stay_and_the_best',),
    ),
    Mutation(
        'a-checkpoint-is-not-sealed',
        _CHECKPOINT,
        '            integrity.seal(path)\n',
        '',
        'Every checkpoint counts as damaged, and no run resumes.',
        (_SAVED + 'test_the_latest_comes_back_with_its_notes',),
    ),
    Mutation(
        'a-checkpoint-that-cannot-be-read-is-none',
        _CHECKPOINT,
        'raise ValueError(self._other(latest.step, error)) from error',
        'return None',
        'A run starts over without a word.',
        (_SAVED + 'test_another_tree_is_not_restored',),
    ),
    Mutation(
        'checkpoints-are-sorted-from-the-first',
        _CHECKPOINT,
        'return dict(sorted(steps.items(), reverse=True))',
        'return dict(sorted(steps.items()))',
        'A run resumes at the earliest of its checkpoints.',
        (_SAVED + 'test_steps_are_numbers_and_not_words',),
    ),
    # --- Digests ---------------------------------------------------------
    Mutation(
        'a-file-that-is-there-is-unchanged',
        _INTEGRITY,
        'if sha256(path) != digest:',
        'if not digest:',
        'Damage to a checkpoint is resumed from.',
        (_SEALED + 'test_a_sealed_folder_is_what_sha256sum_checks',),
    ),
    Mutation(
        'a-file-that-was-not-saved-is-no-fault',
        _INTEGRITY,
        "return wrong or (f'{extra[0]} is not in {SUMS}' if extra else '')",
        'return wrong',
        'Orbax reads a file that was put into a checkpoint.',
        (_SEALED + 'test_a_sealed_folder_is_what_sha256sum_checks',),
    ),
    Mutation(
        'a-folder-without-digests-is-whole',
        _INTEGRITY,
        "return f'it has no {SUMS}, so that it was not saved completely'",
        "return ''",
        'A save that was killed is resumed from.',
        (_SEALED + 'test_a_sealed_folder_is_what_sha256sum_checks',),
    ),
    Mutation(
        'a-part-is-summed-by-whole-blocks',
        _INTEGRITY,
        'file.read(min(left, 1 << 20))',
        'file.read(1 << 20)',
        'A log that has grown since its checkpoint counts as changed.',
        (_SEALED + 'test_the_digest_of_a_part_is_that_of_its_bytes',),
    ),
    Mutation(
        'what-a-copy-adds-is-damage',
        _INTEGRITY,
        "_FOREIGN = ('.nfs', '._', '.DS_Store', f'.{SUMS}')",
        "_FOREIGN = ('.nfs', '._', f'.{SUMS}')",
        'A run that was copied with a Mac does not resume.',
        (_SEALED + 'test_a_sealed_folder_is_what_sha256sum_checks',),
    ),
    # --- The guard -------------------------------------------------------
    Mutation(
        'the-guard-goes-by-the-unit-of-the-loss',
        _GUARD,
        ">= LEAST * abs(m['loss'])",
        '>= LEAST',
        'A small loss is said not to move, a large one never is.',
        ('tests/guard_test.py::test_three_rounds_that_move_nothing_are_told',),
    ),
    Mutation(
        'every-round-has-to-move-the-loss',
        _GUARD,
        '    if any(\n        abs(',
        '    if all(\n        abs(',
        'A run that learns is said not to.',
        ('tests/guard_test.py::test_one_round_that_moves_it_is_enough',),
    ),
    Mutation(
        'the-guard-looks-for-falling-losses-alone',
        _GUARD,
        "    if any(\n        abs(m['predicted_change'])",
        "    if any(\n        -(m['predicted_change'])",
        'A run that climbs is said to stand still.',
        ('tests/guard_test.py::test_one_round_that_moves_it_is_enough',),
    ),
    Mutation(
        'lines-of-validation-are-rounds-to-the-guard',
        _GUARD,
        "[m for m in metrics if m['stage'] == 'train'][:ROUNDS]",
        '[*metrics][:ROUNDS]',
        'The guard never warns, since validations have no update.',
        ('tests/guard_test.py::test_lines_of_other_stages_do_not_count',),
    ),
    # --- What runs of one process share ----------------------------------
    Mutation(
        'a-thing-of-another-key-is-taken',
        _LAST_LOADED,
        'if entry is None or entry[0] != key:',
        'if entry is None:',
        'The second run of a study has the model and data of the first.',
        ('tests/last_loaded_test.py::test_a_thing_is_made_once_for_a_key',),
    ),
    Mutation(
        'two-models-are-held-at-once',
        _LAST_LOADED,
        '                self._objects.pop(name, None)  # before '
        'the next is made\n',
        '',
        'A study over models is out of memory.',
        (
            'tests/last_loaded_test.py'
            '::test_the_last_one_is_gone_before_the_next_is_made',
        ),
    ),
    Mutation(
        'the-last-cohort-is-dropped',
        _PREFETCH,
        '        if waiting is not None:\n            yield waiting.result()',
        '',
        'A run has a round less than it was asked for.',
        (
            'tests/prefetch_test.py'
            '::test_things_come_in_order_with_one_made_ahead',
        ),
    ),
    Mutation(
        'a-method-is-made-for-the-clients-of-a-round',
        _PERSONALIZE,
        'clients = len(experiment.data.held_out.clients)',
        'clients = config.clients_per_round',
        'Another number of clients is personalized than is scored.',
        (_EPOCHS + 'test_every_client_starts_from_the_global_prompt',),
    ),
    Mutation(
        'what-a-method-finds-wrong-is-not-asked',
        _METHODS,
        "check = getattr(get(config.personalization.method), 'faults', None)",
        'check = None',
        'A wrong alpha ends a run after hours of training.',
        ('tests/config_test.py::test_faults_between_two_keys',),
    ),
    Mutation(
        'steps-are-numbered-from-the-start-of-the-process',
        _STAGE,
        'for number, item in enumerate(bar, first + 1):',
        'for number, item in enumerate(bar, 1):',
        'A resumed run is saved at other steps than an uninterrupted one.',
        ('tests/stage_test.py::test_a_resumed_stage_saves_at_the_same_steps',),
    ),
    Mutation(
        'clients-lose-what-they-train',
        'fedprompt_jax/personalization/fine_tune.py',
        'State(local.bank, local.opt_state), local',
        'State(state.bank, local.opt_state), local',
        'Personalized scores are those of the global prompt.',
        (
            'tests/personalize_wiring_test.py::test_every_client_starts_fro'
            'm_the_global_prompt',
        ),
    ),
    Mutation(
        'config-l2-is-ignored',
        'fedprompt_jax/personalization/fine_tune.py',
        'pull_to_start(c.l2) if c.l2 else optax.identity(),',
        'optax.identity(),',
        'Runs of several lambdas are one run.',
        (
            'tests/personalize_wiring_test.py::test_l2_pulls_toward_the_glo'
            'bal_prompt',
        ),
    ),
    Mutation(
        'the-personalized-prompt-is-scored-as-the-global-one',
        'fedprompt_jax/personalization/fine_tune.py',
        '        del params\n'
        "        return [Answer('personalized', state.bank, alpha=1.0)]",
        '        bank = replicate(params, setup.num_clients)\n'
        "        return [Answer('personalized', bank, alpha=1.0)]",
        'Personalization seems to have no effect.',
        (
            'tests/personalize_wiring_test.py::test_every_client_starts_fro'
            'm_the_global_prompt',
        ),
    ),
    Mutation(
        'a-personalized-prompt-has-alpha-zero',
        'fedprompt_jax/personalization/fine_tune.py',
        'state.bank, alpha=1.0)',
        'state.bank, alpha=0.0)',
        'The trade-off curve begins where it should end.',
        (
            'tests/personalize_wiring_test.py::test_rows_say_which_run_they'
            '_are_of',
        ),
    ),
    Mutation(
        'a-stop-before-the-first-epoch-is-ignored',
        'fedprompt_jax/experiment/personalize.py',
        "    if preemption.asked():\n        raise stopped('epoch', 0)\n",
        '',
        'SIGTERM while the anchors are scored costs an epoch more.',
        (
            'tests/personalize_wiring_test.py::test_a_stopped_stage_saves_i'
            'ts_epoch_and_resumes_after_it',
        ),
    ),
    Mutation(
        'epochs-are-saved-where-they-are-scored',
        'fedprompt_jax/experiment/personalize.py',
        'experiment.config.checkpoint.every,',
        'c.every,',
        'config.checkpoint.every has no effect on stage 2.',
        (
            'tests/personalize_wiring_test.py::test_every_few_epochs_are_sa'
            'ved_and_the_last_one',
        ),
    ),
    Mutation(
        'a-client-that-diverges-is-counted-an-epoch-late',
        'fedprompt_jax/experiment/personalize.py',
        'finite, epoch = finite_owners(clients.bank)',
        'finite, epoch = finite_owners(state.clients.bank)',
        'The epoch in which clients are lost is logged with a loss of NaN.',
        (
            'tests/personalize_wiring_test.py::test_a_client_that_diverges_'
            'is_lost_alone',
        ),
    ),
    Mutation(
        'a-checkpoint-comes-before-the-scores-of-its-step',
        'fedprompt_jax/experiment/stage.py',
        '        state = stage.after(state)\n'
        '        last, stop = number == stage.total, '
        'preemption.asked()\n'
        '        if last or stop or number % stage.save_every == 0:\n'
        '            stage.save(state)\n',
        '        last, stop = number == stage.total, '
        'preemption.asked()\n'
        '        if last or stop or number % stage.save_every == 0:\n'
        '            stage.save(state)\n'
        '        state = stage.after(state)\n',
        'A resumed run has forgotten which prompt was the best.',
        ('tests/stage_test.py::test_a_checkpoint_has_the_scores_of_its_step',),
    ),
    Mutation(
        'what-a-score-adds-to-the-state-is-dropped',
        'fedprompt_jax/experiment/stage.py',
        '        state = stage.after(state)\n',
        '        stage.after(state)\n',
        'The best prompt is never remembered, and the last one is taken.',
        ('tests/stage_test.py::test_a_state_goes_from_step_to_step',),
    ),
    Mutation(
        'a-stage-starts-over-at-every-step',
        'fedprompt_jax/experiment/stage.py',
        '        state, loss = stage.step(state, item, began)\n',
        '        _, loss = stage.step(state, item, began)\n',
        'Nothing is trained for more than a round.',
        ('tests/stage_test.py::test_a_state_goes_from_step_to_step',),
    ),
    Mutation(
        'a-stage-that-was-asked-to-stop-goes-on',
        'fedprompt_jax/experiment/stage.py',
        '        if stop:\n',
        '        if stop and last:\n',
        'SIGTERM has no effect, and the machine is taken away.',
        (
            'tests/stage_test.py::test_it_stops_after_the_step_in_which_it_'
            'is_asked',
        ),
    ),
    Mutation(
        'a-stop-is-reported-for-the-step-behind',
        'fedprompt_jax/experiment/stage.py',
        'raise stopped(stage.unit, number)',
        'raise stopped(stage.unit, number + 1)',
        'The message says that a round is saved that was never run.',
        (
            'tests/stage_test.py::test_it_stops_after_the_step_in_which_it_'
            'is_asked',
        ),
    ),
    Mutation(
        'seconds-of-a-step-are-those-of-the-stage',
        'fedprompt_jax/experiment/stage.py',
        '        began = time.perf_counter()\n    return state',
        '    return state',
        'Every logged round seems slower than the one before.',
        (
            'tests/stage_test.py::test_a_step_is_timed_from_the_end_of_the_'
            'one_before',
        ),
    ),
    Mutation(
        'the-bar-of-a-resumed-stage-begins-at-zero',
        'fedprompt_jax/experiment/stage.py',
        '        initial=first,\n',
        '',
        'The bar never gets to its end, and its estimate is wrong.',
        (
            'tests/stage_test.py::test_the_bar_of_a_resumed_stage_ends_at_i'
            'ts_total',
        ),
    ),
    Mutation(
        'processes-without-a-terminal-show-the-bar',
        'fedprompt_jax/experiment/stage.py',
        'disable=not run.shows,',
        'disable=run.shows,',
        'Every process but the first one writes a bar.',
        ('tests/stage_test.py::test_a_process_that_shows_nothing_has_no_bar',),
    ),
    Mutation(
        'frozen-rows-lose-weight',
        _FINE_TUNE,
        'tx = optax.chain(rows, tx, rows)',
        'tx = optax.chain(rows, tx)',
        'Rows that are frozen are decayed by AdamW.',
        (
            'tests/personalization_laws_test.py::test_rows_that_are_frozen_stay_those_of_the_global_prompt',
        ),
    ),
    Mutation(
        'the-first-rows-for-the-last',
        _FINE_TUNE,
        'slice(-_some(count), None)',
        'slice(_some(count))',
        'Freezing the first rows freezes the last.',
        (
            'tests/personalization_laws_test.py::test_rows_that_are_frozen_stay_those_of_the_global_prompt',
        ),
    ),
)
