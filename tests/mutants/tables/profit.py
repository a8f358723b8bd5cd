"""Mistakes in Profit's studies: baselines, tuning, plans, what is drawn."""

from tests.mutants.mutation import Mutation

FEW_SHOT = 'fedprompt_jax/data/few_shot.py'
MEASURED = 'fedprompt_jax/study/measured.py'
PLANNED = 'fedprompt_jax/study/planned.py'
TUNING = 'fedprompt_jax/study/tuning.py'
TRAJECTORIES = 'fedprompt_jax/study/trajectories.py'
TABLE = 'fedprompt_jax/study/table.py'
POINTS = 'fedprompt_jax/study/points.py'
SETTINGS = 'configs/studies/profit/settings.py'
SHOWN = (
    'tests/few_shot_test.py::test_a_query_is_definition_examples_and_input',
)
ROOM = (
    'tests/few_shot_test.py::'
    'test_examples_without_room_are_left_out_from_the_last_on',
)
PAPER = (
    'tests/profit_studies_test.py::test_personalization_at_the_paper_s_scale',
)
TUNED = ('tests/tuning_test.py::test_the_best_of_each_group',)
PLAN = ('tests/study_plan_test.py::test_each_stage_1_is_counted_once',)
KEPT = (
    'tests/measured_test.py::test_what_is_measured_is_kept_and_measured_again',
)
ONLY = ('tests/study_plan_test.py::test_only_the_runs_with_a_value',)
ONCE = (
    'tests/profit_studies_test.py::'
    'test_a_baseline_is_drawn_once_for_all_runs_of_a_seed',
)
DECILES = (
    'tests/profit_studies_test.py::'
    'test_percentiles_are_over_the_clients_of_all_seeds',
)
LINES = ('tests/tuning_test.py::test_baselines_are_lines_of_the_table',)

ANSWERS = (
    'tests/side_by_side_test.py::test_each_client_s_examples_with_the_last_answers',
)

MUTATIONS = (
    Mutation(
        'answers-of-one-prompt-alone',
        'fedprompt_jax/report/answers.py',
        'if len(pair) == len(prompts) and all(pair.values()):',
        'if len(pair) == len(prompts):',
        'An example without a global answer is compared.',
        ANSWERS,
    ),
    Mutation(
        'few-shot-has-no-definition',
        FEW_SHOT,
        'before = [definition + BETWEEN] if definition and not inside else []',
        'before = []',
        'The baseline is weaker than the one that the caption names.',
        SHOWN,
    ),
    Mutation(
        'few-shot-shows-questions-without-answers',
        FEW_SHOT,
        "fill(encoder.target, output=example['output']),",
        "fill(encoder.target, output=''),",
        'The examples are not solved.',
        SHOWN,
    ),
    Mutation(
        'few-shot-beyond-the-room',
        FEW_SHOT,
        'if len(row) > template.max_query and shown:',
        'if False and shown:',
        'A long example cuts the question off.',
        ROOM,
    ),
    Mutation(
        'few-shot-leaves-all-examples-out-at-once',
        FEW_SHOT,
        'for shown in range(count, -1, -1):',
        'for shown in (count, 0):',
        'One example that fits is not shown.',
        ROOM,
    ),
    Mutation(
        'few-shot-of-data-without-examples',
        FEW_SHOT,
        "if not any(task['positive_examples'] for task in tasks):",
        'if False:',
        'A zero-shot score is called few-shot.',
        ('tests/few_shot_test.py::test_data_without_examples_are_refused',),
    ),
    Mutation(
        'few-shot-queries-in-another-order',
        FEW_SHOT,
        'for i in sorted(queries)]',
        'for i in sorted(queries, reverse=True)]',
        "An instance has another's question.",
        (
            'tests/few_shot_test.py::'
            'test_a_task_without_examples_shows_its_definition',
        ),
    ),
    Mutation(
        'what-is-kept-of-another-config-is-taken',
        MEASURED,
        "kept['columns'] if kept['config'] == _plain(point) else None",
        "kept['columns']",
        'Statistics of another partition are shown.',
        KEPT,
    ),
    Mutation(
        'what-was-measured-once-stays',
        MEASURED,
        '        columns = measure(point.config)\n',
        '        columns = read(point, folder) or measure(point.config)\n',
        'Statistics of data that have changed are shown.',
        KEPT,
    ),
    Mutation(
        'a-plan-counts-stage-1-for-each-run',
        PLANNED,
        '0.0 if reused else of_stage_1',
        'of_stage_1',
        'A study seems to take many times its hours.',
        PLAN,
    ),
    Mutation(
        'a-plan-forgets-what-is-trained',
        PLANNED,
        "if 'chosen_round' in info and info.get(shared_stage.DIGEST):",
        'if False:',
        'What is reused is counted.',
        ('tests/study_plan_test.py::test_what_is_trained_is_reused',),
    ),
    Mutation(
        'a-plan-counts-what-is-complete',
        PLANNED,
        'left = [run for run in planned if not run.complete]',
        'left = list(planned)',
        'Hours that are already spent are asked for.',
        PLAN,
    ),
    Mutation(
        'a-plan-counts-validation-in-stage-2',
        PLANNED,
        "STAGE_1 = ('training', 'validation')",
        "STAGE_1 = ('training',)",
        'Shared validation is counted for each run.',
        PLAN,
    ),
    Mutation(
        'the-worst-rates-are-chosen',
        TUNING,
        'key=lambda pair: -pair[0],',
        'key=lambda pair: pair[0],',
        'Table 2 names rates that fail.',
        TUNED,
    ),
    Mutation(
        'a-score-that-is-not-a-number-is-the-best',
        TUNING,
        '(pair for pair in scored if not math.isnan(pair[0])),',
        '(pair for pair in scored),',
        'A diverged run is chosen.',
        TUNED,
    ),
    Mutation(
        'tuned-on-global-scores',
        TUNING,
        "return _personalized(run, 'local')",
        "return _personalized(run, 'global')  # of all",
        'Table 3 chooses by another score than its caption says.',
        ('tests/tuning_test.py::test_scores_by_which_rates_are_chosen',),
    ),
    Mutation(
        'axes-of-a-baseline-exchanged',
        TRAJECTORIES,
        '            spot.x,\n            spot.y,\n            marker,',
        '            spot.y,\n            spot.x,\n            marker,',
        'A robust baseline looks personal.',
        ONCE,
    ),
    Mutation(
        'percentiles-of-a-single-number',
        TRAJECTORIES,
        'np.percentile(list(clients.values()), share, axis=0)',
        'np.percentile(list(clients.values()), share, axis=1)[:2]',
        'Local and global scores are mixed.',
        DECILES,
    ),
    Mutation(
        'best-and-worst-deciles-exchanged',
        TRAJECTORIES,
        "10: ('10th percentile', ':'), 90:",
        "90: ('10th percentile', ':'), 10:",
        'The claim on the worst decile is judged by the best.',
        DECILES,
    ),
    Mutation(
        'baselines-of-different-data-are-averaged',
        TABLE,
        'if not by_seed or any(len(found) > 1 for found in by_seed.values()):',
        'if not by_seed:',
        'A line of the table is of no data set.',
        LINES,
    ),
    Mutation(
        'baselines-of-runs-that-failed',
        TABLE,
        "        if row['status'] == COMPLETE\n    ]\n    for label",
        '        if True\n    ]\n    for label',
        'A damaged run counts.',
        LINES,
    ),
    Mutation(
        'only-leaves-out-the-wanted',
        POINTS,
        'if any(_equal(value, wanted)',
        'if not any(_equal(value, wanted)',
        'The other runs are started.',
        ONLY,
    ),
    Mutation(
        'names-without-what-differs',
        POINTS,
        'if all(key in other and other[key] == value for other in rest)',
        'if any(key in other and other[key] == value for other in rest)',
        'Two runs of a table have one name.',
        ('tests/study_plan_test.py::test_names_hold_what_differs',),
    ),
    Mutation(
        'long-names-of-folders-are-cut',
        POINTS,
        "    return f'{name[: LONGEST - 9]}~{digest}'",
        '    return name[:LONGEST]',
        'Two runs share a folder.',
        ('tests/study_plan_test.py::test_a_long_name_ends_in_its_digest',),
    ),
    Mutation(
        'random-words-are-numbers',
        SETTINGS,
        "_untrained(c, 'vocabulary')",
        "_untrained(c, 'uniform')",
        'Random-Word is another Random-Gaussian.',
        (
            'tests/profit_studies_test.py::'
            'test_a_random_prompt_is_trained_by_no_round',
        ),
    ),
    Mutation(
        'random-prompts-are-trained',
        SETTINGS,
        '    c.rounds = 0\n',
        '    c.rounds = 1\n',
        'The baseline has seen the clients.',
        (
            'tests/profit_studies_test.py::'
            'test_a_random_prompt_is_trained_by_no_round',
        ),
    ),
    Mutation(
        'one-rate-of-low-computation',
        SETTINGS,
        'rate = LOW_RATES.get((algorithm, partition), LOW_RATE)',
        'rate = LOW_RATE',
        'FedAvg(SGD) at medium heterogeneity has ten times its rate.',
        (
            'tests/profit_studies_test.py::'
            'test_low_computation_has_one_other_rate',
        ),
    ),
    Mutation(
        'rates-of-clients-that-do-not-train',
        SETTINGS,
        'c.client.learning_rate = config.client.learning_rate',
        'pass',
        'Table 2 names a rate that nothing reads.',
        (
            'tests/profit_studies_test.py::'
            'test_only_clients_that_train_have_a_rate',
        ),
    ),
    Mutation(
        'a-plan-reuses-what-a-bank-has-trained',
        PLANNED,
        "if 'chosen_round' in info and info.get(shared_stage.DIGEST):",
        "if 'chosen_round' in info:",
        'Hours are promised that are spent.',
        ('tests/study_plan_test.py::test_what_is_trained_is_reused',),
    ),
    Mutation(
        'a-plan-forgets-who-is-scored',
        PLANNED,
        'files.plain([shared_stage.settings(config), scored])',
        'files.plain([shared_stage.settings(config)])',
        'A stage 1 in other rows seems to be reused.',
        ('tests/study_plan_test.py::test_what_is_trained_is_reused',),
    ),
    Mutation(
        'equal-runs-are-made-again',
        'fedprompt_jax/study/runs.py',
        'found = own if own.is_dir() else equal.get(_text(config))',
        'found = own',
        'Sixteen personalizations of the paper are made twice.',
        (
            'tests/study_plan_test.py::'
            'test_a_run_of_an_equal_config_is_that_run',
        ),
    ),
    Mutation(
        'banks-of-different-prompts',
        'fedprompt_jax/study/runs.py',
        'alike.setdefault(one_bank.shared(point), []).append(i)',
        "alike.setdefault('', []).append(i)",
        'Figure 14 cannot be made with --together.',
        (
            'tests/study_plan_test.py::test_banks_hold_runs_that_can_share_a_call',
        ),
    ),
    Mutation(
        'a-client-that-diverged-does-not-count',
        TUNING,
        'and not row[split][run.selection].dropped',
        'and True',
        'A rate that loses most clients wins.',
        ('tests/tuning_test.py::test_scores_by_which_rates_are_chosen',),
    ),
    Mutation(
        'an-old-figure-stays',
        'fedprompt_jax/study/outputs.py',
        '(self.folder / FIGURE).unlink(missing_ok=True)',
        'pass',
        'A figure is of other runs than the table beside it.',
        (
            'tests/measured_test.py::'
            'test_an_old_figure_does_not_stay_beside_other_tables',
        ),
    ),
    Mutation(
        'a-key-that-is-new-and-off-makes-another-run',
        'fedprompt_jax/experiment/run_folder.py',
        '    if before is None or now is None:\n'
        '        return not before and not now\n',
        '',
        'Every run of an older version scores its clients again.',
        (
            'tests/continuing_test.py::'
            'test_a_key_that_is_new_and_off_changes_nothing',
        ),
    ),
    Mutation(
        'few-shot-counts-what-was-asked-for',
        FEW_SHOT,
        "there = min(shown, len(task['positive_examples']))",
        'there = count',
        'A zero-shot query is called few-shot, and nobody is told.',
        (
            'tests/few_shot_test.py::'
            'test_a_warning_counts_the_examples_that_are_missing',
        ),
    ),
    Mutation(
        'large-rates-with-all-epochs',
        'configs/studies/profit/figure_3_left.py',
        'short = rate in settings.RATES[-2:]',
        'short = False',
        'The largest rates run five times as long as in the paper.',
        PAPER,
    ),
    Mutation(
        'few-examples-for-as-many-epochs',
        'configs/studies/profit/figure_11.py',
        'MORE_EPOCHS = 2.24',
        'MORE_EPOCHS = 1.0',
        '64 examples take a quarter of the steps.',
        PAPER,
    ),
    Mutation(
        'a-third-of-figure-12-s-epochs',
        'configs/studies/profit/figure_12.py',
        'EPOCHS, EVERY = 3, 3',
        'EPOCHS, EVERY = 1, 3',
        '10 epochs instead of 30.',
        PAPER,
    ),
    Mutation(
        'table-3-is-tuned-on-test-clients',
        'configs/studies/profit/table_3.py',
        "                personalization__split='validation',\n",
        '',
        'Rates are chosen on the clients that are scored.',
        (
            'tests/profit_studies_test.py::'
            'test_rates_are_tuned_on_validation_clients',
        ),
    ),
)
