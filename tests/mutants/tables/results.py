"""Mistakes in what carries the results of a run."""

from tests.mutants.mutation import Mutation

EXPERIMENT = 'fedprompt_jax/experiment'
SCORES = f'{EXPERIMENT}/scores.py'
RUN = f'{EXPERIMENT}/run.py'
RUN_FOLDER = f'{EXPERIMENT}/run_folder.py'
PROCESSES = f'{EXPERIMENT}/processes.py'
PREEMPTION = f'{EXPERIMENT}/preemption.py'
COMPILATIONS = f'{EXPERIMENT}/compilations.py'

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
ENDS = ('tests/commands_test.py::test_how_a_command_ends',)

MUTATIONS = (
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
    Mutation(
        'the-last-prompt-goes-to-stage-2',
        RUN,
        'params, rounds = train.choose(experiment, run, trained)',
        'rounds = train.choose(experiment, run, trained)[1]\n'
        '            params = trained.server.params',
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
        "'trained': _numbers(experiment.params),",
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
        'if together is not None:\n        return {',
        'if together is None:\n        return {',
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
    Mutation(
        'a-run-goes-on-with-other-splits',
        RUN_FOLDER,
        "PATH_KEYS = ('data.path',",
        "PATH_KEYS = ('data.splits', 'data.path',",
        'Results of two configs mix in one folder.',
        NO_OTHER_KEY,
    ),
    Mutation(
        'a-run-goes-on-with-another-seed',
        RUN_FOLDER,
        "    'mesh.data', 'mesh.model', 'mesh.fsdp',\n)",
        "    'seed', 'mesh.model', 'mesh.fsdp',\n)",
        'Two runs mix in one folder.',
        NO_OTHER_KEY,
    ),
    Mutation(
        'attention-changes-no-bit-of-a-shared-stage',
        RUN_FOLDER,
        "    'model.attention', 'model.remat',",
        "    'model.remat',",
        'Runs of two kinds of attention have the numbers of one.',
        (
            *NO_OTHER_KEY,
            'tests/shared_stage_test.py::'
            'test_nor_is_one_the_same_that_is_computed_in_another_way',
        ),
    ),
    Mutation(
        'differences-of-the-first-config-s-keys-alone',
        RUN_FOLDER,
        'for key in sorted((old.keys() | new.keys()) - unread)',
        'for key in sorted((old.keys() & new.keys()) - unread)',
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
        'fedprompt_jax/files.py',
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
        'fedprompt_jax/files.py',
        "temporary = path.with_name(f'.{path.name}{unique}.new')",
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
        "write_json(self.path / 'run.json', rest | values)",
        "write_json(self.path / 'run.json', values | rest)",
        'run.json is of the first start.',
        (
            'tests/run_folder_test.py::'
            'test_what_is_said_of_a_run_is_added_and_replaced',
        ),
    ),
    Mutation(
        'prompts-have-no-digest',
        RUN_FOLDER,
        "paths += (path / 'prompts').rglob('*')",
        "paths += (path / 'prompts').glob('*.json')",
        'A changed prompt passes for the one that was trained.',
        KNOWS_CHANGES,
    ),
    Mutation(
        'run-json-has-no-digest',
        RUN_FOLDER,
        "if digest != _digest(info | {'sha256': sums}):",
        'if not digest:',
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
        'free = (*PATH_KEYS, *LOG_KEYS)',
        'free = FREE_KEYS',
        'Processes wait for each other for ever.',
        (
            'tests/run_folder_test.py::test_processes_of_two_runs_are_t'
            'old_apart',
        ),
    ),
    Mutation(
        'processes-agree-on-trackers',
        RUN_FOLDER,
        'free = (*PATH_KEYS, *LOG_KEYS)',
        'free = PATH_KEYS',
        'A run is refused for what only the first process does.',
        (
            'tests/run_folder_test.py::test_processes_of_two_runs_are_told_apart',
        ),
    ),
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
    Mutation(
        'sigterm-is-forgotten',
        PREEMPTION,
        'self._received = True\n        signal',
        'self._received = False\n        signal',
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
    Mutation(
        'examples-of-the-global-score-are-called-local',
        'fedprompt_jax/experiment/scores.py',
        'splits.setdefault(request, []).append(split)',
        "splits.setdefault(request, []).append('local')",
        'The genie of a client is over the examples of others.',
        ('tests/whole_run_test.py',),
    ),
    Mutation(
        'the-genie-takes-the-worse-answer',
        'fedprompt_jax/report/genie.py',
        'max(line, shared[_example(line)], key=lambda x: x[metric])',
        'min(line, shared[_example(line)], key=lambda x: x[metric])',
        'What a router could win is shown as a loss.',
        ('tests/genie_test.py::test_of_each_example_the_better_answer_counts',),
    ),
    Mutation(
        'the-genie-chooses-by-rouge-l-alone',
        'fedprompt_jax/report/genie.py',
        'key=lambda x: x[metric]',
        "key=lambda x: x['rouge_l']",
        'Where answers are chosen, the genie is not the best.',
        (
            'tests/genie_test.py::test_the_better_answer_is_that_of_the_run_s_metric',
        ),
    ),
    Mutation(
        'the-genie-of-any-epoch',
        'fedprompt_jax/report/genie.py',
        "elif (line['prompt'], line['epoch']) == ('personalized', last):",
        "elif line['prompt'] == 'personalized':",
        'An example counts once for each epoch.',
        ('tests/genie_test.py::test_of_each_example_the_better_answer_counts',),
    ),
)
