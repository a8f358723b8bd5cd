"""Mistakes in reading configs, and in what carries, shows and plans results."""

from tests.mutants.mutation import Mutation

EXPERIMENT = 'fedprompt_jax/experiment'
CONFIG = f'{EXPERIMENT}/config.py'
COMMAND_LINE = f'{EXPERIMENT}/command_line.py'
SCORES = f'{EXPERIMENT}/scores.py'
RUN = f'{EXPERIMENT}/run.py'
RUN_FOLDER = f'{EXPERIMENT}/run_folder.py'
TRAFFIC = f'{EXPERIMENT}/traffic.py'
PROCESSES = f'{EXPERIMENT}/processes.py'
PREEMPTION = f'{EXPERIMENT}/preemption.py'
COMPILATIONS = f'{EXPERIMENT}/compilations.py'
PLANNING = f'{EXPERIMENT}/planning.py'
FORECAST = f'{EXPERIMENT}/forecast.py'
CHIPS = f'{EXPERIMENT}/chips.py'
CANVAS = f'{EXPERIMENT}/report/canvas.py'
CLIENT_PLOTS = f'{EXPERIMENT}/report/client_plots.py'
COSTS = f'{EXPERIMENT}/report/costs.py'
PAGE = f'{EXPERIMENT}/report/page.py'
PLOTS = f'{EXPERIMENT}/report/plots.py'
POINTS = f'{EXPERIMENT}/report/points.py'
RECORDS = f'{EXPERIMENT}/report/records.py'
SUMMARY = f'{EXPERIMENT}/report/summary.py'
TRADEOFF_PLOTS = f'{EXPERIMENT}/report/tradeoff_plots.py'
BANK = f'{EXPERIMENT}/sweep/bank.py'
COMMANDS = f'{EXPERIMENT}/sweep/commands.py'
SWEEP_POINTS = f'{EXPERIMENT}/sweep/points.py'
RUNS = f'{EXPERIMENT}/sweep/runs.py'
TABLE = f'{EXPERIMENT}/sweep/table.py'
PLAN = 'fedprompt_jax/plan.py'
SWEEP = 'fedprompt_jax/sweep.py'
MAIN = 'main.py'
FEDAVG = 'configs/fedavg_adam.py'

PAPER_SIZES = (
    'tests/config_test.py::test_the_paper_scales_carry_the_paper_s_sizes',
)
PAPER_RATES = (
    'tests/config_test.py::'
    'test_the_paper_scales_carry_the_paper_s_learning_rates',
)
PAPER_FIGURES = (
    'tests/config_test.py::test_the_paper_scales_carry_the_paper_s_figures',
)
WORDS = ('tests/config_test.py::test_a_rule_is_what_its_words_say',)
ZERO = ('tests/config_test.py::test_what_may_be_zero',)
BETWEEN = ('tests/config_test.py::test_faults_between_two_keys',)
ALL_FAULTS = ('tests/config_test.py::test_all_faults_are_told_together',)
OWN_PROMPT = (
    'tests/prompt_scores_test.py::'
    'test_every_client_is_scored_with_its_own_prompt',
)
LOCAL_GLOBAL = (
    'tests/prompt_scores_test.py::'
    'test_local_rows_are_of_the_client_s_instances_and_global_of_the_common',
)
SUMMED = (
    'tests/prompt_scores_test.py::'
    'test_a_summary_is_of_the_chosen_requests_x100',
)
ANSWERED = (
    'tests/prompt_scores_test.py::'
    'test_a_prediction_says_what_was_answered_and_what_it_is_worth',
)
RUN_SAYS = (
    'tests/run_info_test.py::'
    'test_a_run_says_with_which_seed_and_model_it_was_made',
)
FIRST_START = ('tests/run_info_test.py::test_a_run_remembers_its_first_start',)
NO_OTHER_KEY = (
    'tests/run_folder_test.py::test_no_other_key_of_the_config_may_differ',
)
KNOWS_CHANGES = (
    'tests/run_folder_test.py::test_a_complete_run_knows_every_change',
)
CUT_BACK = ('tests/run_folder_test.py::test_logs_are_cut_back_to_their_sizes',)
ASSUMED = (
    'tests/forecast_test.py::'
    'test_assumed_lengths_have_the_means_that_are_asked_for',
)
OF_DATA = (
    'tests/forecast_test.py::test_traffic_is_of_the_data_as_the_run_reads_it',
)
OPERATIONS = ('tests/plan_test.py::test_operations_are_those_that_xla_counts',)
DECODING = ('tests/forecast_test.py::test_decoding_reads_the_base_or_computes',)
BYTES = (
    'tests/forecast_test.py::test_bytes_of_keys_values_and_logits_by_hand',
)
SCORED = ('tests/forecast_test.py::test_what_is_scored_is_counted_by_hand',)
TRAINING = ('tests/forecast_test.py::test_training_takes_its_rounds_and_steps',)
VENDORS = (
    'tests/forecast_test.py::'
    'test_the_vendors_figures_are_in_bytes_and_operations',
)
MEASURED = (
    'tests/forecast_test.py::'
    'test_a_machine_is_measured_by_a_product_and_a_copy',
)
COSTS_BY_HAND = ('tests/report_test.py::test_costs_by_hand',)
ACROSS = (
    'tests/figures_test.py::test_local_scores_lie_across_and_global_ones_up',
)
ANCHORS = (
    'tests/figures_test.py::test_the_anchors_are_where_their_prompts_score',
)
ARROWS = (
    'tests/figures_test.py::test_arrows_go_from_the_global_to_the_own_prompt',
)
BY_ROUND = ('tests/figures_test.py::test_losses_and_validation_by_round',)
NORMS = ('tests/figures_test.py::test_norms_by_round_on_a_log_axis',)
MEANS = (
    'tests/report_test.py::'
    'test_a_mean_is_over_the_scores_there_are_and_counts_the_others',
)
LAST_EPOCH = (
    'tests/report_test.py::test_the_table_has_the_anchors_and_the_last_epoch',
)
PAIRED = (
    'tests/report_test.py::'
    'test_gains_are_paired_and_a_dropped_client_is_in_neither_side',
)
STARRED = (
    'tests/report_test.py::test_the_starred_round_is_the_one_that_goes_on',
)
BY_NAME = ('tests/sweep_test.py::test_the_scores_of_a_run_by_their_names',)
STUDENT = ('tests/sweep_test.py::test_the_interval_is_student_s',)
GROUPED = ('tests/sweep_test.py::test_runs_are_grouped_in_their_order',)
ARE_THE_RUNS = ('tests/sweep_test.py::test_commands_are_the_runs',)
HANDS_ON = ('tests/commands_test.py::test_main_hands_its_flags_on',)
ENDS = ('tests/commands_test.py::test_how_a_command_ends',)
SHIPPED = ('tests/sweep_test.py::test_shipped_sweeps_have_all_their_points',)

MUTATIONS = (
    # config.py
    Mutation(
        'a-rate-may-be-zero',
        CONFIG,
        '(x > least if open_ else x >= least)',
        '(x >= least)',
        'A run with learning rate 0 starts.',
        WORDS,
    ),
    Mutation(
        'infinite-numbers-are-allowed',
        CONFIG,
        'return math.isfinite(x) and (x > least',
        'return not math.isnan(x) and (x > least',
        'A run with an infinite learning rate starts.',
        WORDS,
    ),
    Mutation(
        'no-lambda-of-zero',
        CONFIG,
        "'personalization.l2': _COUNT,",
        "'personalization.l2': _RATE,",
        'Personalization without a penalty is refused.',
        ZERO,
    ),
    Mutation(
        'epochs-without-steps',
        CONFIG,
        "'personalization.batch_size': _POSITIVE,",
        "'personalization.batch_size': _COUNT,",
        'A batch of no example is divided by.',
        ZERO,
    ),
    Mutation(
        'alphas-may-be-any-number',
        CONFIG,
        'and 0 <= a <= 1 for a in alphas',
        'and 0 <= a for a in alphas',
        'Model averaging becomes extrapolation.',
        BETWEEN,
    ),
    Mutation(
        'equal-alphas-are-averaged-twice',
        CONFIG,
        'return numbers and len(set(alphas)) == len(alphas)',
        'return numbers',
        'The clients of an averaged row count twice.',
        BETWEEN,
    ),
    Mutation(
        'global-examples-of-training-examples',
        CONFIG,
        'most = p.clients * p.eval_examples',
        'most = p.clients * p.train_examples',
        'More global examples are asked for than there are.',
        BETWEEN,
    ),
    Mutation(
        'fewer-global-examples-than-clients',
        CONFIG,
        'if not p.clients <= p.global_examples <= most:',
        'if not p.global_examples <= most:',
        'The global set has no example of some clients.',
        BETWEEN,
    ),
    Mutation(
        'centralized-with-a-cohort',
        CONFIG,
        "if c.algorithm == 'centralized' and c.clients_per_round != 1:",
        "if c.algorithm == 'centralized' and c.clients_per_round < 1:",
        'The baseline asks for more clients than the one there is.',
        BETWEEN,
    ),
    Mutation(
        'personalization-s-optimizer-is-not-checked',
        CONFIG,
        "for key in ('client', 'server', 'personalization'):",
        "for key in ('client', 'server'):",
        'A run fails after stage 1, hours from its start.',
        BETWEEN,
    ),
    Mutation(
        'learning-rates-of-another-partition',
        CONFIG,
        'if c.data.partition != meant:',
        'if c.data.partition == meant:',
        'Rates of Table 2 are used where they do not belong.',
        ('tests/config_test.py::test_a_paper_scale_keeps_its_partition',),
    ),
    Mutation(
        'only-the-first-fault',
        CONFIG,
        'faults = list(_faults(config))',
        'faults = list(_faults(config))[:1]',
        'Faults are found one start at a time.',
        ALL_FAULTS,
    ),
    Mutation(
        'the-model-is-not-looked-for',
        CONFIG,
        'for fault in source.check(config.model.source)\n',
        'for fault in ()\n',
        'A missing model is found after the data are read.',
        ('tests/config_test.py::test_files_that_are_not_there_are_faults_too',),
    ),
    # command_line.py
    Mutation(
        'the-cache-of-nobody',
        COMMAND_LINE,
        "(os.environ.get('XDG_CACHE_HOME') or '~/.cache')",
        "os.environ.get('XDG_CACHE_HOME', '~/.cache')",
        'Converted models go to the root of the file system.',
        ('tests/config_test.py::test_the_cache_is_where_the_environment_says',),
    ),
    Mutation(
        'no-config-is-a-config',
        COMMAND_LINE,
        'lambda config: config is not None,',
        'lambda config: True,',
        'A command without a config ends in a traceback.',
        (
            'tests/config_test.py::test_flags_without_a_config_'
            'or_with_another_key_are_a_sentence',
        ),
    ),
    # scores.py
    Mutation(
        'scores-of-the-first-client-s-prompt',
        SCORES,
        'owners = [0 if shared else i for i',
        'owners = [0 for i',
        'Personalization is measured on one prompt.',
        OWN_PROMPT,
    ),
    Mutation(
        'local-and-global-examples-swapped',
        SCORES,
        "('local', local),\n            ('global', held_out.common),",
        "('global', local),\n            ('local', held_out.common),",
        'Both axes of the trade-off.',
        LOCAL_GLOBAL,
    ),
    Mutation(
        'rows-are-of-all-requests',
        SCORES,
        'summary(scores, np.array([place[r] for r in requests]), loss)',
        'summary(scores, np.arange(len(requests)), loss)',
        "A client has another's score.",
        OWN_PROMPT,
    ),
    Mutation(
        'place-in-the-bank-for-the-client-s-id',
        SCORES,
        'client, name = int(held_out.clients[owner]), held_out.names[owner]',
        'client, name = owner, held_out.names[owner]',
        'Predictions are of other clients.',
        OWN_PROMPT,
    ),
    Mutation(
        'names-of-other-clients',
        SCORES,
        "{'client': int(client), 'client_name': name, 'split': split}",
        "{'client': int(client), 'client_name': held_out.names[0], "
        "'split': split}",
        'Rows have the name of another client.',
        (
            'tests/prompt_scores_test.py::'
            'test_rows_and_predictions_have_the_client_s_name',
        ),
    ),
    Mutation(
        'exact-match-under-rouge-l',
        SCORES,
        "'rouge_l': 100 * float(np.mean(scores.rouge_l[chosen])),",
        "'rouge_l': 100 * float(np.mean(scores.exact_match[chosen])),",
        'The headline number.',
        SUMMED,
    ),
    Mutation(
        'exact-match-is-not-x100',
        SCORES,
        "'exact_match': 100 * float(",
        "'exact_match': 1 * float(",
        'Accuracy is a hundredth of what it is.',
        SUMMED,
    ),
    Mutation(
        'config-s-loss-is-ignored-in-scores',
        SCORES,
        "'loss': mean_loss(scores, chosen, loss),",
        "'loss': mean_loss(scores, chosen, 'sequence'),",
        'Losses of scores and of training have different units.',
        SUMMED,
    ),
    Mutation(
        'output-tokens-are-the-target-s',
        SCORES,
        "'output_tokens': int(scores.output_tokens[i]),",
        "'output_tokens': int(scores.target_tokens[i]),",
        'Lengths of predictions.',
        ANSWERED,
    ),
    Mutation(
        'some-choices-make-accuracy-lead',
        SCORES,
        'if chosen.size and chosen.all() else',
        'if chosen.size and chosen.any() else',
        'Prompts for free text are chosen by exact match.',
        (
            'tests/selection_test.py::'
            'test_the_leading_metric_is_accuracy_where_all_answers_are_chosen',
        ),
    ),
    Mutation(
        'validation-counts-though-there-is-none',
        SCORES,
        '*(data.validation.local if validated else ())',
        '*data.validation.local',
        'Warnings count instances that no one scores.',
        ('tests/selection_test.py::test_only_scored_instances_are_counted',),
    ),
    # run.py
    Mutation(
        'the-last-prompt-goes-to-stage-2',
        RUN,
        'params, rounds = train.choose(experiment, run, stage)',
        'rounds = train.choose(experiment, run, stage)[1]\n'
        '                params = stage.server.params',
        'Validation has no effect.',
        (
            'tests/chosen_prompt_test.py::'
            'test_the_prompt_of_the_best_validated_round_goes_to_stage_2',
        ),
    ),
    Mutation(
        'number-of-kept-checkpoints-is-ignored',
        RUN,
        'config.checkpoint.keep,',
        '2,',
        'A promise of the config.',
        (
            'tests/chosen_prompt_test.py::test_the_latest_checkpoints_'
            'that_the_config_keeps_and_the_best_are_there',
        ),
    ),
    Mutation(
        'run-json-has-no-seed',
        RUN,
        'seed=experiment.config.seed,',
        'seed=0,',
        'Runs of several seeds cannot be told apart.',
        RUN_SAYS,
    ),
    Mutation(
        'the-last-start-is-the-first',
        RUN,
        "started=run.info.get('started', now()),",
        'started=now(),',
        'The report says that a run began when it was resumed.',
        FIRST_START,
    ),
    Mutation(
        'starts-are-forgotten',
        RUN,
        "starts=[*run.info.get('starts', []), now()],",
        'starts=[now()],',
        'The seconds of the last start pass for those of the run.',
        FIRST_START,
    ),
    Mutation(
        'weights-are-not-looked-at',
        RUN,
        "'weights': checkpoint_fingerprint(folder, cache_dir),",
        "'weights': '',",
        'A run is resumed with another model.',
        RUN_SAYS,
    ),
    Mutation(
        'parameters-of-the-base-are-trained',
        RUN,
        "'trained': sum(x.size for x in jax.tree.leaves(experiment.params)),",
        "'trained': sizes.num_params(experiment.lm.config),",
        'How much is trained and sent.',
        RUN_SAYS,
    ),
    Mutation(
        'kibibytes-for-bytes-of-memory',
        RUN,
        "return peak * (1 if sys.platform == 'darwin' else 1024) / 1e9",
        'return peak / 1e9',
        'A run seems to need a thousandth of its memory.',
        ('tests/run_info_test.py::test_the_peak_of_memory_is_in_gigabytes',),
    ),
    Mutation(
        'a-bank-s-memory-is-each-run-s',
        RUN,
        'if member is not None:\n        return {',
        'if member is None:\n        return {',
        'Costs of several runs are put down to each.',
        (
            'tests/run_info_test.py::'
            'test_seconds_of_a_bank_are_not_said_to_be_one_run_s',
        ),
    ),
    Mutation(
        'other-row-shapes-are-silent',
        RUN,
        'if before in (None, packing):',
        'if before is None or packing:',
        'Results that agree up to rounding pass for bits.',
        ('tests/run_info_test.py::test_other_row_shapes_are_told',),
    ),
    # run_folder.py
    Mutation(
        'a-run-goes-on-with-other-splits',
        RUN_FOLDER,
        "PATH_KEYS = ('data.path',",
        "PATH_KEYS = ('data.splits', 'data.path',",
        'Results of two configs mix in one folder.',
        NO_OTHER_KEY,
    ),
    Mutation(
        'differences-of-the-first-config-s-keys-alone',
        RUN_FOLDER,
        'for key in sorted(old.keys() | new.keys())',
        'for key in sorted(old.keys() & new.keys())',
        'A folder of an older version is resumed with new keys.',
        (
            'tests/run_folder_test.py::'
            'test_another_run_is_refused_with_every_difference',
        ),
    ),
    Mutation(
        'logs-are-not-cut-back',
        RUN_FOLDER,
        '            if have:\n                os.truncate(',
        '            if not have:\n                os.truncate(',
        'Rows count twice after a restart.',
        CUT_BACK,
    ),
    Mutation(
        'a-header-in-every-block',
        RUN_FOLDER,
        'header = [] if self.log_sizes()[TRADEOFF] else [names]',
        'header = [names]',
        'tradeoff.csv has header lines among its rows.',
        CUT_BACK,
    ),
    Mutation(
        'not-a-number-in-json',
        RUN_FOLDER,
        'if isinstance(value, float) and not math.isfinite(value):',
        'if isinstance(value, float) and math.isinf(value):',
        'metrics.jsonl is no JSON.',
        (
            'tests/run_folder_test.py::'
            'test_what_is_not_a_number_is_null_and_reads_as_nan',
        ),
    ),
    Mutation(
        'json-is-written-in-place',
        RUN_FOLDER,
        "temporary = path.with_name(f'.{path.name}.new')",
        'temporary = path',
        'A killed run leaves half a run.json.',
        (
            'tests/run_folder_test.py::'
            'test_a_json_file_is_written_whole_or_not_at_all',
        ),
    ),
    Mutation(
        'what-was-said-first-stays',
        RUN_FOLDER,
        "write_json(self.path / 'run.json', kept | values)",
        "write_json(self.path / 'run.json', values | kept)",
        'run.json is of the first start.',
        (
            'tests/run_folder_test.py::'
            'test_what_is_said_of_a_run_is_added_and_replaced',
        ),
    ),
    Mutation(
        'prompts-have-no-digest',
        RUN_FOLDER,
        "paths += (self.path / 'prompts').rglob('*')",
        "paths += (self.path / 'prompts').glob('*.json')",
        'A changed prompt passes for the one that was trained.',
        KNOWS_CHANGES,
    ),
    Mutation(
        'run-json-has-no-digest',
        RUN_FOLDER,
        "if own != _digest(info | {'sha256': sums}):",
        'if not own:',
        'A changed choice of the round is believed.',
        KNOWS_CHANGES,
    ),
    Mutation(
        'a-changed-log-of-the-same-size',
        RUN_FOLDER,
        'if size and integrity.sha256(path, size) != digest:',
        'if not size and integrity.sha256(path, size) != digest:',
        'Rows that somebody changed are part of the results.',
        (
            'tests/run_folder_test.py::'
            'test_a_changed_log_of_the_same_size_is_an_error',
        ),
    ),
    Mutation(
        'two-processes-in-one-folder',
        RUN_FOLDER,
        'fcntl.LOCK_EX | fcntl.LOCK_NB',
        'fcntl.LOCK_SH | fcntl.LOCK_NB',
        'Two starts write the same logs.',
        (
            'tests/run_folder_test.py::'
            'test_a_folder_in_use_is_refused_until_it_is_not',
        ),
    ),
    Mutation(
        'rounds-are-ordered-as-words',
        RUN_FOLDER,
        '(int(p.name) for p in folder.iterdir() if p.name.isdecimal())',
        '(int(p.name) for p in folder.iterdir() if len(p.name) == 1)',
        'A run of ten rounds goes on to nine.',
        ('tests/run_folder_test.py::test_no_fewer_rounds_than_are_done',),
    ),
    Mutation(
        'all-processes-write',
        RUN_FOLDER,
        '    def _append(self, name: str, text: str) -> None:\n'
        '        if not self.writes:',
        '    def _append(self, name: str, text: str) -> None:\n'
        '        if not text:',
        'Each process of a run adds the same rows.',
        (
            'tests/run_folder_test.py::'
            'test_another_than_the_first_process_writes_nothing',
        ),
    ),
    Mutation(
        'processes-on-other-meshes',
        RUN_FOLDER,
        "lines = _differences(*both, PATH_KEYS, ('in the first', 'there'))",
        "lines = _differences(*both, FREE_KEYS, ('in the first', 'there'))",
        'Processes wait for each other for ever.',
        (
            'tests/run_folder_test.py::test_processes_of_two_runs_are_told_apart',
        ),
    ),
    # traffic.py
    Mutation(
        'assumed-lengths-are-one-and-a-half-times-the-mean',
        TRAFFIC,
        'rng.gamma(1.5, mean / 1.5, (owners, each))',
        'rng.gamma(1.5, mean, (owners, each))',
        'Planned hours and memory.',
        ASSUMED,
    ),
    Mutation(
        'assumed-targets-are-as-long-as-queries',
        TRAFFIC,
        'targets = lengths(target_tokens, c.max_target)',
        'targets = lengths(query_tokens, c.max_target)',
        'Planned hours and memory.',
        ASSUMED,
    ),
    Mutation(
        'assumed-lengths-are-not-cut',
        TRAFFIC,
        'queries = lengths(query_tokens, c.max_query)',
        'queries = lengths(query_tokens, 10 * c.max_query)',
        'Planned hours and memory.',
        ASSUMED,
    ),
    Mutation(
        'assumed-epochs-in-batches-of-stage-1',
        TRAFFIC,
        'epochs = [batch(p.clients, p.batch_size) for',
        'epochs = [batch(p.clients, config.batch_size) for',
        'Planned hours of personalization.',
        ASSUMED,
    ),
    Mutation(
        'pooled-data-are-planned-as-clients',
        TRAFFIC,
        'Pooled(data.population) if pooled else data.population',
        'data.population',
        'Planned hours of the centralized baseline.',
        OF_DATA,
    ),
    Mutation(
        'choices-are-planned-as-text',
        TRAFFIC,
        '(data.store.num_choices[used] == 0) & writes',
        '(data.store.num_choices[used] >= 0) & writes',
        'Hours are planned for text that no one generates.',
        OF_DATA,
    ),
    Mutation(
        'masked-models-are-planned-to-write',
        TRAFFIC,
        "for e in every if objective != 'masked_lm'",
        'for e in every',
        'Hours are planned for text that no one generates.',
        (
            'tests/plan_test.py::test_targets_are_no_tokens_'
            'of_a_row_that_an_encoder_reads',
        ),
    ),
    # processes.py
    Mutation(
        'the-last-process-writes',
        PROCESSES,
        'return jax.process_index() == 0',
        'return jax.process_index() == jax.process_count() - 1',
        'Logs lie on a host that no one looks at.',
        ('tests/processes_test.py::test_the_first_process_writes',),
    ),
    Mutation(
        'all-processes-must-be-asked-to-stop',
        PROCESSES,
        'return bool(_of_all([flag]).any())',
        'return bool(_of_all([flag]).all())',
        'A host that is taken away stops no one, and no round is saved.',
        ('tests/processes_test.py::test_a_flag_of_any_process_holds_for_all',),
    ),
    Mutation(
        'texts-with-their-padding',
        PROCESSES,
        'bytes(row[:length]).decode()',
        'bytes(row).decode()',
        'Equal configs of two processes differ.',
        (
            'tests/processes_test.py::'
            'test_texts_come_in_the_order_of_the_processes',
        ),
    ),
    Mutation(
        'all-processes-do-the-first-one-s-work',
        PROCESSES,
        "fault = ''\n    if is_first():",
        "fault = ''\n    if not is_first():",
        'Logs are cut by a process that does not write them.',
        (
            'tests/processes_test.py::'
            'test_a_fault_of_the_first_process_reaches_all',
        ),
    ),
    Mutation(
        'every-folder-is-shared',
        PROCESSES,
        'seen = not any_of(not _appears(mark))',
        'seen = any_of(_appears(mark))',
        'Checkpoints lie on several machines.',
        ('tests/processes_test.py::test_a_folder_of_its_own_is_no_shared_one',),
    ),
    Mutation(
        'number-and-count-of-processes-swapped',
        PROCESSES,
        'return Processes(coordinator, num_processes, process_id)',
        'return Processes(coordinator, process_id, num_processes)',
        'Processes do not find each other.',
        (
            'tests/processes_test.py::'
            'test_processes_find_each_other_as_the_flags_say',
        ),
    ),
    # preemption.py
    Mutation(
        'sigterm-is-forgotten',
        PREEMPTION,
        'self._came = True\n        signal',
        'self._came = False\n        signal',
        'A machine is taken away in the middle of a round.',
        (
            'tests/distributed_test.py::'
            'test_sigterm_is_remembered_once_and_only_inside',
        ),
    ),
    Mutation(
        'a-stopped-run-ends-as-a-failed-one',
        PREEMPTION,
        'EXIT_CODE = 75',
        'EXIT_CODE = 1',
        'Launchers do not start it again.',
        ENDS,
    ),
    # compilations.py
    Mutation(
        'seconds-of-the-last-compilation',
        COMPILATIONS,
        'self.seconds += duration_secs',
        'self.seconds = duration_secs',
        'Seconds of compilation in run.json.',
        ('tests/run_info_test.py::test_what_is_compiled_is_counted_and_timed',),
    ),
    Mutation(
        'every-event-is-a-compilation',
        COMPILATIONS,
        'if event == _EVENT:',
        'if event:',
        'Compilations in run.json.',
        ('tests/run_info_test.py::test_what_is_compiled_is_counted_and_timed',),
    ),
    # planning.py
    Mutation(
        'multiply-adds-for-operations',
        PLANNING,
        'return 2 * (self.products + self.attention)',
        'return self.products + self.attention',
        'Planned operations are half of what they are.',
        OPERATIONS,
    ),
    Mutation(
        'logits-of-every-token',
        PLANNING,
        'products += rows * targets * target_params(sizes)',
        'products += tokens * target_params(sizes)',
        'Planned operations of models with large vocabularies.',
        OPERATIONS,
    ),
    Mutation(
        'a-frozen-model-goes-back-twice',
        PLANNING,
        'once.products * (2 + remat + whole),',
        'once.products * (3 + remat),',
        'Planned hours are 1.5 times too many.',
        (
            'tests/plan_test.py::test_so_are_those_of_a_gradient',
            'tests/plan_test.py::test_a_whole_model_s_products_go_back_twice',
        ),
    ),
    Mutation(
        'remat-costs-nothing',
        PLANNING,
        'once.products * (2 + remat + whole),',
        'once.products * (2 + whole),',
        'Planned hours with config.model.remat.',
        ('tests/plan_test.py::test_so_are_those_of_a_gradient',),
    ),
    Mutation(
        'chips-reach-the-vendor-s-rate',
        PLANNING,
        'rate = chip.flops[dtype] * chip.share * chips',
        'rate = chip.flops[dtype] * chips',
        'Planned hours are half of what they are.',
        DECODING,
    ),
    Mutation(
        'one-cache-for-keys-and-values',
        PLANNING,
        'return 2.0 * queries * length * own',
        'return 1.0 * queries * length * own',
        'Planned memory of generation.',
        BYTES,
    ),
    Mutation(
        'logits-without-gradient',
        PLANNING,
        'return 2.0 * own * 4',
        'return 1.0 * own * 4',
        'Planned memory.',
        BYTES,
    ),
    Mutation(
        'every-chip-has-all-rows-logits',
        PLANNING,
        "own = rows / mesh['data'] * columns",
        'own = rows * columns',
        'Planned memory of a mesh.',
        BYTES,
    ),
    Mutation(
        'decoding-reads-and-computes-at-once',
        PLANNING,
        'return new_tokens * max(read, step)',
        'return new_tokens * min(read, step)',
        'Planned hours of generation.',
        DECODING,
    ),
    Mutation(
        'a-bank-without-optimizer-state',
        PLANNING,
        'return owners * (3.0 * own + more)',
        'return owners * 3.0 * own',
        'Planned memory of large cohorts.',
        ('tests/plan_test.py::test_a_bank_s_bytes',),
    ),
    Mutation(
        'the-base-is-whole-on-every-chip',
        PLANNING,
        'total += _bytes(leaf) / math.prod(mesh[axis] for axis in axes)',
        'total += _bytes(leaf)',
        'Planned memory of a mesh.',
        ('tests/plan_test.py::test_the_base_s_bytes_are_those_of_its_shards',),
    ),
    Mutation(
        'every-layer-is-gathered-at-once',
        PLANNING,
        "stacked = leaf.shape[0] if 'layers/' in path else 1",
        'stacked = 1',
        'Planned memory with config.mesh.fsdp.',
        ('tests/plan_test.py::test_fsdp_gathers_the_tables_and_a_layer',),
    ),
    Mutation(
        'remat-keeps-all-layers',
        PLANNING,
        'c.num_layers * c.width + layer if remat else c.num_layers * layer',
        'c.num_layers * layer',
        'Planned memory with config.model.remat.',
        (
            'tests/plan_test.py::'
            'test_what_the_backward_pass_keeps_is_what_xla_allocates',
        ),
    ),
    Mutation(
        'chips-that-divide-nothing-share',
        PLANNING,
        'return model if fits else 1',
        'return model',
        'Planned hours of a mesh that does not fit the model.',
        (
            'tests/plan_test.py::test_chips_that_do_not_divide_a_layer_do_the_same',
        ),
    ),
    # forecast.py
    Mutation(
        'no-validation-before-the-first-round',
        FORECAST,
        'validations = 1 + math.ceil(',
        'validations = 0 + math.ceil(',
        'Planned hours of validation.',
        (
            'tests/forecast_test.py::test_validation_is_before_'
            'the_first_round_and_after_the_last',
        ),
    ),
    Mutation(
        'common-examples-are-scored-twice',
        FORECAST,
        'p.eval_examples + p.global_examples - p.global_examples / p.clients',
        'p.eval_examples + p.global_examples',
        'Planned hours of scoring.',
        SCORED,
    ),
    Mutation(
        'averages-are-not-scored',
        FORECAST,
        'banks += len([a for a in p.alphas if 0 < a < 1]) if p.epochs else 0',
        'banks += 0',
        'Planned hours of scoring.',
        SCORED,
    ),
    Mutation(
        'minutes-for-hours',
        FORECAST,
        'hours={name: s / 3600 for name, s in seconds.items()},',
        'hours={name: s / 60 for name, s in seconds.items()},',
        'Planned hours.',
        TRAINING,
    ),
    Mutation(
        'a-round-is-one-local-step',
        FORECAST,
        'round_seconds = config.local_steps * step(traffic.cohorts)',
        'round_seconds = step(traffic.cohorts)',
        'Planned hours of training.',
        TRAINING,
    ),
    Mutation(
        'a-last-step-that-is-not-full-is-none',
        FORECAST,
        'steps = p.epochs * math.ceil(p.train_examples / p.batch_size)',
        'steps = p.epochs * (p.train_examples // p.batch_size)',
        'Planned hours of personalization.',
        (
            'tests/forecast_test.py::'
            'test_personalization_takes_its_epochs_and_steps',
        ),
    ),
    Mutation(
        'training-and-generation-at-once',
        FORECAST,
        "return always + max(training, memory['generation cache'])",
        "return always + training + memory['generation cache']",
        'What fits is said not to fit.',
        (
            'tests/forecast_test.py::'
            'test_text_is_generated_while_nothing_trains',
        ),
    ),
    Mutation(
        'a-last-batch-is-always-full',
        FORECAST,
        'found.append((rows, length, min(1.0, left / rows)))',
        'found.append((rows, length, 1.0))',
        'Planned hours of generation.',
        (
            'tests/forecast_test.py::'
            'test_a_last_batch_that_is_not_full_is_shared',
        ),
    ),
    # chips.py
    Mutation(
        'gibibytes-for-gigabytes',
        CHIPS,
        'return Chip(gigabytes * 1e9, flops,',
        'return Chip(gigabytes * 2**30, flops,',
        'What does not fit is said to fit.',
        VENDORS,
    ),
    Mutation(
        'rates-of-two-dtypes-swapped',
        CHIPS,
        "flops = {'bfloat16': bf16 * 1e12, 'float32': f32 * 1e12}",
        "flops = {'bfloat16': f32 * 1e12, 'float32': bf16 * 1e12}",
        'Planned hours.',
        VENDORS,
    ),
    Mutation(
        'the-slowest-call-counts',
        CHIPS,
        'return min(seconds)',
        'return max(seconds)',
        "Planned hours on this machine's CPU.",
        ('tests/forecast_test.py::test_the_fastest_call_counts',),
    ),
    Mutation(
        'a-product-without-its-additions',
        CHIPS,
        'flops[dtype] = 2 * size**3 / fastest(product, a, a)',
        'flops[dtype] = size**3 / fastest(product, a, a)',
        "Planned hours on this machine's CPU.",
        MEASURED,
    ),
    # report/
    Mutation(
        'figures-of-the-reader-s-style',
        CANVAS,
        "matplotlib.style.context(['default', _STYLE])",
        'matplotlib.style.context([_STYLE])',
        'Figures of two machines differ.',
        ('tests/report_test.py::test_the_same_data_gives_the_same_pictures',),
    ),
    Mutation(
        'arrows-point-backwards',
        CLIENT_PLOTS,
        "ax.annotate('', after[c], before[c], arrowprops=arrow)",
        "ax.annotate('', before[c], after[c], arrowprops=arrow)",
        'Figure 17: gains look like losses.',
        ARROWS,
    ),
    Mutation(
        'arrows-of-the-first-epochs',
        CLIENT_PLOTS,
        '_paint_arrows(left, epochs[0], epochs[last], last)',
        '_paint_arrows(left, epochs[0], epochs[min(set(epochs) - {0})], last)',
        'Figure 17 is of the first epoch.',
        ARROWS,
    ),
    Mutation(
        'percentiles-over-splits',
        CLIENT_PLOTS,
        'np.percentile(list(points.values()), q, axis=0)',
        'np.percentile(list(points.values()), q, axis=1)[:2]',
        'Figure 18.',
        ('tests/figures_test.py::test_percentiles_are_over_clients',),
    ),
    Mutation(
        'worst-and-best-percentiles-swapped',
        CLIENT_PLOTS,
        "90: ('90th', '--'), 50: ('50th', '-'), 10: ('10th', ':')",
        "90: ('10th', '--'), 50: ('50th', '-'), 10: ('90th', ':')",
        'Figure 18.',
        ('tests/figures_test.py::test_percentiles_are_over_clients',),
    ),
    Mutation(
        'directions-swapped',
        COSTS,
        "('up: clients to server', 'bytes_up'),",
        "('up: clients to server', 'bytes_down'),",
        'Traffic in the report.',
        COSTS_BY_HAND,
    ),
    Mutation(
        'traffic-of-a-round-for-a-client',
        COSTS,
        'one = each / clients_per_round if clients_per_round else math.nan',
        'one = each',
        'Traffic of a client in the report.',
        COSTS_BY_HAND,
    ),
    Mutation(
        'kilobytes-for-kibibytes',
        COSTS,
        'x / 1024**power',
        'x / 1000**power',
        'Traffic in the report.',
        COSTS_BY_HAND,
    ),
    Mutation(
        'validation-counts-as-training',
        COSTS,
        "stage = _STAGES.get(str(line.get('stage')), _EVALUATION)",
        "stage = _STAGES.get(str(line.get('stage')), 'training')",
        'Seconds of the stages in the report.',
        COSTS_BY_HAND,
    ),
    Mutation(
        'lost-prompts-of-the-first-epoch',
        COSTS,
        "lost = _dropped(lines, 'personalize')[-1:]",
        "lost = _dropped(lines, 'personalize')[:1]",
        'A warning counts too few clients.',
        (
            'tests/report_test.py::'
            'test_the_lost_prompts_of_the_last_epoch_are_told',
        ),
    ),
    Mutation(
        'seconds-of-the-last-start-for-the-run',
        PAGE,
        "once = len(run.get('starts') or ()) <= 1",
        'once = True',
        'A resumed run seems to cost what its last start did.',
        (
            'tests/report_test.py::test_seconds_of_one_of_'
            'several_starts_are_not_those_of_the_run',
        ),
    ),
    Mutation(
        'text-of-the-data-is-html',
        PAGE,
        'return html.escape(str(value))',
        'return str(value)',
        'A report runs what stands in a config.',
        (
            'tests/report_test.py::'
            'test_the_page_is_whole_and_needs_nothing_beside_it',
        ),
    ),
    Mutation(
        'columns-of-two-stages-meet',
        PAGE,
        "prefix = '' if stage == stages[0] else f'{stage} '",
        "prefix = ''",
        'Validation takes the place of training in the table of rounds.',
        (
            'tests/report_test.py::'
            'test_the_page_is_whole_and_needs_nothing_beside_it',
        ),
    ),
    Mutation(
        'losses-of-the-first-and-the-last-step-swapped',
        PLOTS,
        "'loss_first_step': ('first step",
        "'loss_last_step': ('first step",
        'training.png.',
        BY_ROUND,
    ),
    Mutation(
        'norm-of-the-update-as-the-prompt-s',
        PLOTS,
        "'prompt_norm': ('‖P‖",
        "'update_norm': ('‖P‖",
        'Figure 3, right.',
        NORMS,
    ),
    Mutation(
        'band-of-two-standard-errors',
        PLOTS,
        'ax.fill_between(x, y - se, y + se,',
        'ax.fill_between(x, y - 2 * se, y + 2 * se,',
        'training.png.',
        BY_ROUND,
    ),
    Mutation(
        'lines-for-rounds',
        PLOTS,
        "return np.array([x['round'] for x in lines], float), values",
        'return np.arange(len(lines), dtype=float), values',
        'Figures of sparse validation.',
        BY_ROUND,
    ),
    Mutation(
        'the-star-is-the-last-validation',
        PLOTS,
        'best = records.chosen_validation(folder, lines)',
        'best = scores[-1] if scores else None',
        'training.png stars another prompt than goes to stage 2.',
        BY_ROUND,
    ),
    Mutation(
        'axes-swapped',
        POINTS,
        "c: (s.get('local', math.nan), s.get('global', math.nan))",
        "c: (s.get('global', math.nan), s.get('local', math.nan))",
        'All trade-off figures are mirrored.',
        ACROSS,
    ),
    Mutation(
        'epoch-zero-is-the-initial-prompt',
        POINTS,
        "found = {0: points(rows, 'global', metric)}",
        "found = {0: points(rows, 'initial', metric)}",
        'Personalization seems to begin without stage 1.',
        ACROSS,
    ),
    Mutation(
        'dropped-clients-are-points',
        POINTS,
        'if np.isfinite(xy).all()}',
        'if np.isfinite(xy).any() or xy}',
        'Means in figures are NaN.',
        ACROSS,
    ),
    Mutation(
        'standard-errors-of-the-other-axis',
        POINTS,
        'return Spot(x.mean, y.mean, x.se, y.se)',
        'return Spot(x.mean, y.mean, y.se, x.se)',
        'Error bars of tradeoff.png.',
        ACROSS,
    ),
    Mutation(
        'clients-of-two-runs-are-one-point',
        POINTS,
        "client = (r['run'], r['seed'], r['client'])",
        "client = r['seed']",
        'Figures show one client of many.',
        ACROSS,
    ),
    Mutation(
        'not-a-number-reads-as-zero',
        RECORDS,
        "return float(text or 'nan')",
        'return float(text or 0)',
        'Dropped clients count as clients of score 0.',
        (
            'tests/run_folder_test.py::test_scores_read_back_as_they_were',
            'tests/report_test.py::test_scores_survive_the_disk',
        ),
    ),
    Mutation(
        'the-initial-prompt-may-be-starred',
        RECORDS,
        "scored = [x for x in scored if x['round']]",
        'scored = list(scored)',
        'The report stars a prompt that stage 2 never takes.',
        (
            'tests/report_test.py::'
            'test_an_initial_prompt_is_never_the_starred_one',
        ),
    ),
    Mutation(
        'the-higher-loss-of-equals',
        RECORDS,
        "return x[metric], -x.get('loss', math.inf)",
        "return x[metric], x.get('loss', math.inf)",
        'The report stars another prompt than goes to stage 2.',
        (
            'tests/report_test.py::'
            'test_an_initial_prompt_is_never_the_starred_one',
        ),
    ),
    Mutation(
        'what-run-json-says-is-not-asked',
        RECORDS,
        'if chosen is not None:\n        scored',
        'if chosen is None:\n        scored',
        'The report stars another prompt than goes to stage 2.',
        STARRED,
    ),
    Mutation(
        'units-of-losses-swapped',
        RECORDS,
        "'example': 'nats a target token, mean over examples',",
        "'example': 'nats a target token',",
        'The unit of a loss in the report.',
        ('tests/report_test.py::test_a_loss_is_in_the_unit_of_the_config',),
    ),
    Mutation(
        'table-s-error-with-ddof-0',
        SUMMARY,
        'kept.std(ddof=1) / math.sqrt(kept.size)',
        'kept.std(ddof=0) / math.sqrt(kept.size)',
        'Error bars are too short.',
        MEANS,
    ),
    Mutation(
        'standard-deviation-for-standard-error',
        SUMMARY,
        'kept.std(ddof=1) / math.sqrt(kept.size)',
        'kept.std(ddof=1)',
        'Error bars are too long.',
        MEANS,
    ),
    Mutation(
        'gain-over-the-initial-prompt',
        SUMMARY,
        "before = _by_client(rows, 'global', 0, split, metric)",
        "before = _by_client(rows, 'initial', 0, split, metric)",
        'The headline number.',
        PAIRED,
    ),
    Mutation(
        'loss-of-personalization-for-its-gain',
        SUMMARY,
        'gains = np.array([after[c] - before[c]',
        'gains = np.array([before[c] - after[c]',
        'The sign of the headline number.',
        PAIRED,
    ),
    Mutation(
        'gain-of-another-split',
        SUMMARY,
        "after = _by_client(rows, 'personalized', last, split, metric)",
        "after = _by_client(rows, 'personalized', last, 'local', metric)",
        'The gain in global score.',
        ('tests/report_test.py::test_the_global_gain_is_of_global_scores',),
    ),
    Mutation(
        'interval-of-90-percent',
        SUMMARY,
        'n_resamples=_RESAMPLES,',
        'n_resamples=_RESAMPLES,\n        confidence_level=0.9,',
        'Intervals are too narrow.',
        (
            'tests/gains_test.py::test_the_interval_of_many_clients_'
            'is_the_normal_one_of_95_percent',
        ),
    ),
    Mutation(
        'pairs-by-client-alone',
        SUMMARY,
        "(r['run'], r['seed'], r['client']): r[metric]",
        "r['client']: r[metric]",
        'Clients of several runs overwrite each other.',
        (
            'tests/gains_test.py::'
            'test_clients_of_two_runs_or_seeds_are_never_paired',
        ),
    ),
    Mutation(
        'table-of-the-first-epoch',
        SUMMARY,
        'return max(epochs, default=0)',
        'return min(epochs, default=0)',
        'The final table is not of the last epoch.',
        LAST_EPOCH,
    ),
    Mutation(
        'averages-of-all-alphas-are-one-row',
        SUMMARY,
        "alpha = r['alpha'] if r['prompt'] == 'averaged' else None",
        'alpha = None',
        'Rows of different alphas are mixed.',
        LAST_EPOCH,
    ),
    Mutation(
        'a-shared-prompt-s-global-score-has-a-spread',
        SUMMARY,
        "SHARED = ('bare', 'initial', 'global')",
        "SHARED = ('bare', 'initial')",
        'Copies of one number get a standard error.',
        (
            'tests/report_test.py::'
            'test_one_score_of_a_shared_prompt_has_no_spread',
        ),
    ),
    Mutation(
        'local-scores-under-both-names',
        SUMMARY,
        "here = [r for r in rows if r['split'] == split]",
        "here = [r for r in rows if r['split'] == 'local']",
        'Half of the final table.',
        LAST_EPOCH,
    ),
    Mutation(
        'curve-of-averages-begins-at-the-personal-prompt',
        TRADEOFF_PLOTS,
        '(ends[0], *mixes.values(), ends[1])',
        '(ends[1], *mixes.values(), ends[0])',
        'The trade-off curve runs twice across the figure.',
        ACROSS,
    ),
    Mutation(
        'bare-and-initial-prompt-swapped',
        TRADEOFF_PLOTS,
        'found = {p: points.points(rows, p, metric) for p in '
        "('bare', 'initial')}",
        'found = {p: points.points(rows, q, metric) for p, q in '
        "(('bare', 'initial'), ('initial', 'bare'))}",
        'Anchors of tradeoff.png.',
        ANCHORS,
    ),
    Mutation(
        'bars-of-the-other-axis',
        TRADEOFF_PLOTS,
        '        y_se,  # NaN, of one client, draws no bar\n        x_se,',
        '        x_se,  # NaN, of one client, draws no bar\n        y_se,',
        'Error bars of tradeoff.png.',
        ACROSS,
    ),
    # sweep/
    Mutation(
        'runs-of-different-target-lengths-in-one-bank',
        BANK,
        "'data.template', 'data.separator', 'data.target', 'data.max_query',\n"
        "    'data.max_target',",
        "'data.template', 'data.separator', 'data.target', 'data.max_query',",
        "One run is scored on another's tokens.",
        (
            'tests/sweep_test.py::test_runs_of_a_bank_share_all_'
            'that_one_call_of_the_model_reads',
        ),
    ),
    Mutation(
        'runs-of-different-losses-in-one-bank',
        BANK,
        "'ia3', 'loss', 'simulation',",
        "'ia3', 'simulation',",
        "One run trains on another's loss.",
        (
            'tests/sweep_test.py::test_runs_of_a_bank_share_all_'
            'that_one_call_of_the_model_reads',
        ),
    ),
    Mutation(
        'all-runs-of-a-bank-are-the-first',
        BANK,
        'points[number].config,',
        'points[0].config,',
        'A sweep of one value.',
        ('tests/sweep_test.py::test_every_run_of_a_bank_ends_by_itself',),
    ),
    Mutation(
        'one-run-ends-for-all',
        BANK,
        'ends[number] = error',
        'ends[0] = error',
        'A run that diverged is complete, and one that did not is not.',
        ('tests/sweep_test.py::test_every_run_of_a_bank_ends_by_itself',),
    ),
    Mutation(
        'the-last-run-is-not-in-the-array',
        COMMANDS,
        '--array=0-{len(every) - 1} ',
        '--array=0-{len(every) - 2} ',
        'A run of the sweep is never started.',
        ARE_THE_RUNS,
    ),
    Mutation(
        'all-commands-in-one-folder',
        COMMANDS,
        "f'--workdir={workdir / point.name}'",
        "f'--workdir={workdir}'",
        'All runs but one are refused.',
        ARE_THE_RUNS,
    ),
    Mutation(
        'a-key-is-given-twice',
        COMMANDS,
        "rest = without(flags, [f'config.{key}' for key in point.overrides])",
        'rest = list(flags)',
        'Tuples of the command line and of the point add up.',
        ('tests/sweep_test.py::test_a_key_is_given_once',),
    ),
    Mutation(
        'devices-of-a-mesh-are-added',
        COMMANDS,
        "f'{data * model} (config.mesh",
        "f'{data + model} (config.mesh",
        'Too few chips are asked for.',
        ('tests/sweep_test.py::test_the_devices_that_runs_need_are_told',),
    ),
    Mutation(
        'points-share-one-config',
        SWEEP_POINTS,
        'config = copy.deepcopy(config)',
        'config = config',
        'Every run has the values of the last.',
        ('tests/sweep_test.py::test_shipped_sweeps_are_sound',),
    ),
    Mutation(
        'two-runs-in-one-folder',
        SWEEP_POINTS,
        'if any(point.name == other.name for other in points):',
        'if any(point.name is other for other in points):',
        'One of two runs is refused.',
        ('tests/sweep_test.py::test_values_that_a_name_does_not_tell_apart',),
    ),
    Mutation(
        'true-is-a-number',
        SWEEP_POINTS,
        'if isinstance(value, bool) and not isinstance(now, bool):',
        'if isinstance(value, bool) and isinstance(now, str):',
        'A run of one round.',
        ('tests/sweep_test.py::test_faults_of_a_sweep_s_file_are_told',),
    ),
    Mutation(
        'groups-leave-the-rest-out',
        RUNS,
        'for i in range(0, len(found), together)]',
        'for i in range(0, len(found) - together + 1, together)]',
        'The last runs of a sweep are never started.',
        GROUPED,
    ),
    Mutation(
        'ends-of-the-first-group-for-all',
        RUNS,
        'ends[first:last] = _run(',
        'ends[: len(group)] = _run(',
        'The table says of some runs what is true of others.',
        GROUPED,
    ),
    Mutation(
        'a-stopped-bank-has-diverged',
        RUNS,
        'if end is not None and not isinstance(end, FloatingPointError):',
        'if end is not None and not isinstance(end, Exception):',
        'A sweep that was stopped seems to be over.',
        (
            'tests/sweep_test.py::'
            'test_the_first_end_that_is_no_divergence_is_raised',
        ),
    ),
    Mutation(
        'normal-quantile-for-student-s',
        TABLE,
        't = stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1)',
        't = stats.norm.ppf((1 + CONFIDENCE) / 2)',
        'Intervals over few seeds are far too narrow.',
        STUDENT,
    ),
    Mutation(
        'one-sided-quantile',
        TABLE,
        't = stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1)',
        't = stats.t.ppf(CONFIDENCE, len(x) - 1)',
        'A 90 % interval is called a 95 % one.',
        STUDENT,
    ),
    Mutation(
        'degrees-of-freedom-one-too-many',
        TABLE,
        't = stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1)',
        't = stats.t.ppf((1 + CONFIDENCE) / 2, len(x))',
        'Intervals over few seeds are too narrow.',
        STUDENT,
    ),
    Mutation(
        'seeds-spread-with-ddof-0',
        TABLE,
        'half = float(t * x.std(ddof=1) / math.sqrt(len(x)))',
        'half = float(t * x.std(ddof=0) / math.sqrt(len(x)))',
        'Intervals over few seeds are too narrow.',
        STUDENT,
    ),
    Mutation(
        'a-diverged-seed-is-in-the-mean-as-nan',
        TABLE,
        'x = x[~np.isnan(x)]',
        'x = np.nan_to_num(x)',
        'A missing score counts as 0.',
        STUDENT,
    ),
    Mutation(
        'standard-errors-for-means-in-the-sweep',
        TABLE,
        'found[f\'{row["prompt"]}{alpha}.{split}.{key}\'] = mean.mean',
        'found[f\'{row["prompt"]}{alpha}.{split}.{key}\'] = mean.se',
        'All numbers of sweep.csv.',
        BY_NAME,
    ),
    Mutation(
        'scores-of-the-last-validation',
        TABLE,
        'chosen = records.chosen_validation(folder, lines)',
        "chosen = [x for x in lines if x['stage'] == 'validation'][-1]",
        'sweep.csv compares prompts that stage 2 did not get.',
        BY_NAME,
    ),
    Mutation(
        'averages-overwrite-each-other',
        TABLE,
        "if row['prompt'] == 'averaged' else ''",
        "if row['prompt'] == '' else ''",
        'sweep.csv has one alpha of many.',
        BY_NAME,
    ),
    Mutation(
        'after-for-before',
        TABLE,
        "'global.local.{}': 'local, before',",
        "'personalized.local.{}': 'local, before',",
        'The printed table of a sweep.',
        ('tests/sweep_test.py::test_the_table_shows_before_and_after',),
    ),
    Mutation(
        'seeds-are-different-points',
        TABLE,
        "for k, v in point.overrides.items() if k != 'seed'}",
        'for k, v in point.overrides.items()}',
        'No interval over seeds is shown.',
        ('tests/sweep_test.py::test_seeds_share_a_line',),
    ),
    Mutation(
        'a-run-that-went-on-is-complete',
        TABLE,
        'if more := run_folder.goes_on(folder, point.config.to_dict()):',
        'if (more := run_folder.goes_on(folder, point.config.to_dict())) '
        'is None:',
        'A run of fewer rounds stands in the table.',
        (
            'tests/continuing_test.py::'
            'test_a_sweep_counts_a_shorter_run_as_not_complete',
        ),
    ),
    # plan.py, sweep.py, main.py
    Mutation(
        'hours-for-minutes',
        PLAN,
        "for unit, size in (('h', 1.0), ('min', 60.0)):",
        "for unit, size in (('h', 1.0), ('min', 3600.0)):",
        'Planned hours.',
        ('tests/forecast_test.py::test_a_duration_is_in_its_largest_unit',),
    ),
    Mutation(
        'fsdp-is-advised-where-it-is',
        PLAN,
        'several = config.mesh.data > 1 and not config.mesh.fsdp',
        'several = config.mesh.data > 1',
        'Advice that does not help.',
        ('tests/forecast_test.py::test_only_what_would_help_is_a_lever',),
    ),
    Mutation(
        'known-model-with-tied-embeddings',
        PLAN,
        "'tie_word_embeddings': False,",
        "'tie_word_embeddings': True,",
        'A plan for the paper lacks the head of the model.',
        (
            'tests/plan_test.py::'
            'test_the_paper_s_run_is_planned_without_model_and_data',
        ),
    ),
    Mutation(
        'sweeps-of-two-configs-in-one-folder',
        SWEEP,
        "name = f'{file.stem}-{config.name}-{config.scale}'",
        "name = f'{file.stem}'",
        'A sweep of another config is refused.',
        ('tests/commands_test.py::test_the_sweep_hands_its_flags_on',),
    ),
    Mutation(
        'together-is-ignored',
        SWEEP,
        'runs.run_all(found, workdir, cache_dir, _TOGETHER.value)',
        'runs.run_all(found, workdir, cache_dir)',
        'Runs follow each other though they need not.',
        ('tests/commands_test.py::test_the_sweep_hands_its_flags_on',),
    ),
    Mutation(
        'a-missing-model-is-found-in-the-first-run',
        SWEEP,
        'found = points.read(file, config, files=runs_here)',
        'found = points.read(file, config, files=not runs_here)',
        'A fault is told late.',
        ('tests/commands_test.py::test_faults_of_the_sweep_are_told',),
    ),
    Mutation(
        'runs-of-all-scales-in-one-folder',
        MAIN,
        "f'runs/{config.name}-{config.scale}'",
        "f'runs/{config.name}'",
        'A run of another scale is refused.',
        HANDS_ON,
    ),
    Mutation(
        'flags-of-processes-swapped',
        MAIN,
        '            _NUM_PROCESSES.value,\n            _PROCESS_ID.value,',
        '            _PROCESS_ID.value,\n            _NUM_PROCESSES.value,',
        'Processes do not find each other.',
        HANDS_ON,
    ),
    Mutation(
        'a-diverging-run-is-a-traceback',
        MAIN,
        'except (OSError, ValueError, FloatingPointError) as error:',
        'except (OSError, ValueError) as error:',
        'A run that diverges looks like a fault of the program.',
        ENDS,
    ),
    # configs/
    Mutation(
        'beta-1-of-0-9',
        FEDAVG,
        "ADAM = 'adam(b1=0.99,",
        "ADAM = 'adam(b1=0.9,",
        "The paper's beta 1 is 0.99.",
        PAPER_FIGURES,
    ),
    Mutation(
        'epsilon-of-1e-6',
        FEDAVG,
        'eps=1e-8)',
        'eps=1e-6)',
        "The paper's epsilon is 1e-8.",
        PAPER_FIGURES,
    ),
    Mutation(
        'rates-of-server-and-client-swapped',
        FEDAVG,
        "'high': (1.0, 0.1),",
        "'high': (0.1, 1.0),",
        'Table 2 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'variance-for-the-deviation-of-the-prompt',
        FEDAVG,
        'c.prompt.scale = 0.5',
        'c.prompt.scale = 0.25',
        "The paper's N(0, 0.25).",
        PAPER_FIGURES,
    ),
    Mutation(
        'rounds-as-misprinted',
        FEDAVG,
        'c.rounds = 300',
        'c.rounds = 1600',
        "The paper's appendix has a slip; 300 rounds see as many instances.",
        PAPER_SIZES,
    ),
    Mutation(
        'steps-and-batch-swapped',
        FEDAVG,
        '    c.local_steps = 16\n    c.batch_size = 32\n',
        '    c.local_steps = 32\n    c.batch_size = 16\n',
        'The paper has 16 local steps of 32 examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'clients-of-1000',
        FEDAVG,
        'c.data.client_size = 1200',
        'c.data.client_size = 1000',
        '3520 clients of Table 1.',
        PAPER_SIZES,
    ),
    Mutation(
        'random-splits-in-the-paper-s-scale',
        FEDAVG,
        "    c.data.path = 'natural-instructions'\n    c.data.splits = 'paper'",
        "    c.data.path = 'natural-instructions'\n"
        "    c.data.splits = 'random'",
        "Not the paper's test types.",
        PAPER_SIZES,
    ),
    Mutation(
        'half-of-the-global-examples',
        FEDAVG,
        'c.personalization.global_examples = 2048',
        'c.personalization.global_examples = 1024',
        "The paper's global set has 2048 examples.",
        PAPER_FIGURES,
    ),
    Mutation(
        'averages-are-one-too-few',
        FEDAVG,
        'tuple(i / 10 for i in range(1, 10))',
        'tuple(i / 10 for i in range(1, 9))',
        'Figure 5 lacks a point.',
        PAPER_SIZES,
    ),
    Mutation(
        'scored-every-epoch',
        FEDAVG,
        '    c.personalization.every = 4\n',
        '    c.personalization.every = 1\n',
        'High computation is scored every 4 epochs.',
        PAPER_SIZES,
    ),
    Mutation(
        'outputs-as-long-as-targets',
        FEDAVG,
        'c.evaluation.max_new_tokens = 10',
        'c.evaluation.max_new_tokens = 128',
        'The paper generates 10 tokens.',
        PAPER_FIGURES,
    ),
    Mutation(
        'rate-of-fedavg-with-sgd',
        'configs/fedavg_sgd.py',
        "'medium': (0.1, 10.0),",
        "'medium': (1.0, 10.0),",
        'Table 2 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'sgd-of-another-partition',
        'configs/fedavg_sgd.py',
        "if c.data.partition == 'medium':",
        "if c.data.partition == 'high':",
        'Table 3 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'adam-in-fedavg-with-sgd',
        'configs/fedavg_sgd.py',
        "c.client.optimizer = 'sgd'",
        "c.server.optimizer = 'sgd'",
        'FedAvg(SGD) is FedAvg(Adam).',
        (
            'tests/config_test.py::test_the_client_optimizers_of_the_paper',
            *PAPER_FIGURES,
        ),
    ),
    Mutation(
        'fedsgd-sees-fewer-examples',
        'configs/fedsgd.py',
        '    c.rounds *= c.local_steps\n',
        '',
        'FedSGD has a sixteenth of the examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'fedsgd-is-validated-too-often',
        'configs/fedsgd.py',
        '    c.validation.every *= c.local_steps\n',
        '',
        'FedSGD chooses its prompt among more than FedAvg.',
        PAPER_SIZES,
    ),
    Mutation(
        'fedsgd-s-rate-of-personalization',
        'configs/fedsgd.py',
        '10**-1.5  # Table 3',
        '10**-0.5  # Table 3',
        'Table 3 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'large-batches-are-small',
        'configs/fedsgd_lb.py',
        '    c.batch_size *= c.local_steps  # ',
        '    c.batch_size *= 1  # ',
        'FedSGD-LB has a sixteenth of the examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'large-batches-at-the-rate-of-small-ones',
        'configs/fedsgd_lb.py',
        "'high': 0.01,",
        "'high': 1.0,",
        'Table 2 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'centralized-batches-are-a-client-s',
        'configs/centralized.py',
        '    c.batch_size *= c.clients_per_round\n',
        '',
        'The baseline sees a 32nd of the examples.',
        PAPER_SIZES,
    ),
    Mutation(
        'centralized-at-another-rate',
        'configs/centralized.py',
        'c.server.learning_rate = 1.0',
        'c.server.learning_rate = 0.1',
        'Section C.2 of the paper.',
        PAPER_RATES,
    ),
    Mutation(
        'four-seeds',
        'configs/sweeps/seeds.py',
        'for seed in range(5):',
        'for seed in range(4):',
        'The sweep says that it has five seeds.',
        SHIPPED,
    ),
    Mutation(
        'one-seed-of-each-level',
        'configs/sweeps/heterogeneity.py',
        "yield {'data.partition': partition, 'seed': seed}",
        "yield {'data.partition': partition, 'seed': 0}",
        'No interval over seeds.',
        SHIPPED,
    ),
    Mutation(
        'rates-of-client-and-server-swapped',
        'configs/sweeps/learning_rates.py',
        "'client.learning_rate': client,",
        "'client.learning_rate': server,",
        'The sweep compares other rates than it names.',
        SHIPPED,
    ),
    Mutation(
        'personalization-without-a-penalty',
        'configs/sweeps/personalization.py',
        "'personalization.l2': strength,",
        "'personalization.l2': 0.0,",
        'The pull toward the global prompt is not swept.',
        SHIPPED,
    ),
)
