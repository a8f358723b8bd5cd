"""Mistakes in studies and their tables."""

from tests.mutants.mutation import Mutation

ROOM = 'fedprompt_jax/study'
BANK = f'{ROOM}/one_bank.py'
COMMANDS = f'{ROOM}/commands.py'
STUDY_POINTS = f'{ROOM}/points.py'
RUNS = f'{ROOM}/runs.py'
TABLE = f'{ROOM}/table.py'
STUDY = 'fedprompt_jax/study/__main__.py'

BY_NAME = ('tests/study_test.py::test_the_scores_of_a_run_by_their_names',)
STUDENT = ('tests/study_test.py::test_the_interval_is_student_s',)
GROUPED = ('tests/study_test.py::test_runs_are_grouped_in_their_order',)
ARE_THE_RUNS = ('tests/study_test.py::test_commands_are_the_runs',)
SHIPPED = ('tests/study_test.py::test_shipped_studies_have_all_their_points',)

MUTATIONS = (
    Mutation(
        'a-run-of-one-client-shares-no-row-in-a-bank',
        'fedprompt_jax/study/merged.py',
        'return not self.model.kind.one_owner',
        'return owners > 1',
        "One run's divergence ends another run.",
        (
            'tests/rendezvous_test.py::'
            'test_a_run_of_one_client_survives_another_s',
        ),
    ),
    Mutation(
        'losses-of-a-poisoned-cohort-look-sound',
        'fedprompt_jax/federated/client.py',
        'bank, *more = checked(start, self.bank, batches, *more)',
        '(bank,) = checked(start, self.bank, batches)',
        "A round of an algorithm of one's own in which nobody trained.",
        (
            'tests/rendezvous_test.py::'
            'test_if_an_owner_is_lost_nothing_of_the_cohort_is_left',
        ),
    ),
    Mutation(
        'a-run-of-two-ways-gives-its-rounds-away',
        'fedprompt_jax/experiment/shared_stage.py',
        'if not mixed and (alone or part.from_key in run.info)',
        'if alone or part.from_key in run.info',
        'A run takes over rounds that it would not have computed.',
        (
            'tests/shared_stage_test.py::'
            'test_of_a_run_that_was_computed_in_two_ways_nothing_is_taken',
        ),
    ),
    Mutation(
        'a-run-elsewhere-is-taken-for-an-archived-one',
        'fedprompt_jax/study/runs.py',
        'if found != own and not archive.is_archived(found):',
        'if False:',
        'A study draws the run of other data.',
        ('tests/archive_test.py::test_another_study_finds_it_by_its_config',),
    ),
    Mutation(
        'runs-of-different-target-lengths-in-one-bank',
        BANK,
        "'data.template', 'data.separator', 'data.target', 'data.max_query',\n"
        "    'data.max_target',",
        "'data.template', 'data.separator', 'data.target', 'data.max_query',",
        "One run is scored on another's tokens.",
        (
            'tests/study_test.py::test_runs_of_a_bank_share_all_'
            'that_one_call_of_the_model_reads',
        ),
    ),
    Mutation(
        'runs-of-different-losses-in-one-bank',
        BANK,
        "'attempt', 'loss', 'simulation',",
        "'attempt', 'simulation',",
        "One run trains on another's loss.",
        (
            'tests/study_test.py::test_runs_of_a_bank_share_all_'
            'that_one_call_of_the_model_reads',
        ),
    ),
    Mutation(
        'all-runs-of-a-bank-are-the-first',
        BANK,
        'points[number].config,',
        'points[0].config,',
        'A study of one value.',
        ('tests/study_test.py::test_every_run_of_a_bank_ends_by_itself',),
    ),
    Mutation(
        'one-run-ends-for-all',
        BANK,
        'ends[number] = error',
        'ends[0] = error',
        'A run that diverged is complete, and one that did not is not.',
        ('tests/study_test.py::test_every_run_of_a_bank_ends_by_itself',),
    ),
    Mutation(
        'the-last-run-is-not-in-the-array',
        COMMANDS,
        '--array=0-{len(every) - 1} ',
        '--array=0-{len(every) - 2} ',
        'A run of the study is never started.',
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
        ('tests/study_test.py::test_a_key_is_given_once',),
    ),
    Mutation(
        'devices-of-a-mesh-are-added',
        COMMANDS,
        "f'{data * model} (config.mesh",
        "f'{data + model} (config.mesh",
        'Too few chips are asked for.',
        ('tests/study_test.py::test_the_devices_that_runs_need_are_told',),
    ),
    Mutation(
        'points-share-one-config',
        STUDY_POINTS,
        'config = copy.deepcopy(config)',
        'config = config',
        'Every run has the values of the last.',
        ('tests/study_test.py::test_shipped_studies_are_sound',),
    ),
    Mutation(
        'two-runs-in-one-folder',
        STUDY_POINTS,
        'if any(point.name == other.name for other in points):',
        'if any(point.name is other for other in points):',
        'One of two runs is refused.',
        ('tests/study_test.py::test_values_that_a_name_does_not_tell_apart',),
    ),
    Mutation(
        'true-is-a-number',
        STUDY_POINTS,
        'if isinstance(value, bool) and not isinstance(default, bool):',
        'if isinstance(value, bool) and isinstance(default, str):',
        'A run of one round.',
        ('tests/study_test.py::test_faults_of_a_study_s_file_are_told',),
    ),
    Mutation(
        'groups-leave-the-rest-out',
        RUNS,
        'for i in range(0, len(places), together)',
        'for i in range(0, len(places) - together + 1, together)',
        'The last runs of a study are never started.',
        GROUPED,
    ),
    Mutation(
        'ends-of-the-first-group-for-all',
        RUNS,
        'ends[i] = end',
        'ends[0] = end',
        'The table says of some runs what is true of others.',
        GROUPED,
    ),
    Mutation(
        'a-stopped-bank-has-diverged',
        RUNS,
        'if end is not None and not isinstance(end, FloatingPointError):',
        'if end is not None and not isinstance(end, Exception):',
        'A study that was stopped seems to be over.',
        (
            'tests/study_test.py::'
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
        'standard-errors-for-means-in-the-study',
        TABLE,
        'values[f\'{row["prompt"]}{alpha}.{split}.{key}\'] = mean.mean',
        'values[f\'{row["prompt"]}{alpha}.{split}.{key}\'] = mean.se',
        'All numbers of table.csv.',
        BY_NAME,
    ),
    Mutation(
        'scores-of-the-last-validation',
        TABLE,
        'chosen = Run(folder).chosen_validation',
        "chosen = Run(folder).stage('validation')[-1]",
        'table.csv compares prompts that stage 2 did not get.',
        BY_NAME,
    ),
    Mutation(
        'averages-overwrite-each-other',
        TABLE,
        "if row['prompt'] == 'averaged' else ''",
        "if row['prompt'] == '' else ''",
        'table.csv has one alpha of many.',
        BY_NAME,
    ),
    Mutation(
        'after-for-before',
        TABLE,
        "'global.local.{}': 'local, before',",
        "'personalized.local.{}': 'local, before',",
        'The printed table of a study.',
        ('tests/study_test.py::test_the_table_shows_before_and_after',),
    ),
    Mutation(
        'seeds-are-different-points',
        TABLE,
        "for k, v in point.overrides.items() if k != 'seed'}",
        'for k, v in point.overrides.items()}',
        'No interval over seeds is shown.',
        ('tests/study_test.py::test_seeds_share_a_line',),
    ),
    Mutation(
        'a-run-that-went-on-is-complete',
        TABLE,
        'if more := run_folder.continuation(folder, point.config.to_dict()):',
        'if (more := run_folder.continuation(folder, point.config.to_dict())) '
        'is None:',
        'A run of fewer rounds stands in the table.',
        (
            'tests/continuing_test.py::'
            'test_a_study_counts_a_shorter_run_as_not_complete',
        ),
    ),
    Mutation(
        'studies-of-two-configs-in-one-folder',
        STUDY,
        "f'studies/{config.name}-{config.scale}'",
        "f'studies/{config.name}'",
        'A study of another config is refused.',
        ('tests/commands_test.py::test_the_study_hands_its_flags_on',),
    ),
    Mutation(
        'together-is-ignored',
        STUDY,
        'cache_dir, _TOGETHER.value, study',
        'cache_dir, 1, study',
        'Runs follow each other though they need not.',
        ('tests/commands_test.py::test_the_study_hands_its_flags_on',),
    ),
    Mutation(
        'a-missing-model-is-found-in-the-first-run',
        STUDY,
        'files=runs_here and not measure)',
        'files=not runs_here and not measure)',
        'A fault is told late.',
        ('tests/commands_test.py::test_faults_of_the_study_are_told',),
    ),
    Mutation(
        'four-seeds',
        'configs/studies/seeds.py',
        'for seed in range(5):',
        'for seed in range(4):',
        'The study says that it has five seeds.',
        SHIPPED,
    ),
    Mutation(
        'one-seed-of-each-level',
        'configs/studies/heterogeneity.py',
        "yield {'data.partition': partition, 'seed': seed}",
        "yield {'data.partition': partition, 'seed': 0}",
        'No interval over seeds.',
        SHIPPED,
    ),
    Mutation(
        'rates-of-client-and-server-swapped',
        'configs/studies/learning_rates.py',
        "'client.learning_rate': client,",
        "'client.learning_rate': server,",
        'The study compares other rates than it names.',
        SHIPPED,
    ),
    Mutation(
        'personalization-without-a-penalty',
        'configs/studies/personalization.py',
        "'personalization.l2': strength,",
        "'personalization.l2': 0.0,",
        'The pull toward the global prompt is not swept.',
        SHIPPED,
    ),
    Mutation(
        'rounds-of-another-client-optimizer-are-taken-over',
        'fedprompt_jax/experiment/shared_stage.py',
        "'name', 'scale', 'log', 'personalization',",
        "'client', 'name', 'scale', 'log', 'personalization',",
        'Two learning rates have the prompt of one.',
        (
            'tests/shared_stage_test.py::test_a_run_of_another_stage_1_trains_itself',
        ),
    ),
    Mutation(
        'rounds-of-another-population-are-taken-over',
        'fedprompt_jax/experiment/data.py',
        'return _digest([*parts, *_parts_of(self.validation)])',
        'return _digest(parts[2:])',
        'A prompt was trained or chosen on the examples of others.',
        ('tests/splits_wiring_test.py::test_what_stage_1_depends_on',),
    ),
    Mutation(
        'a-log-that-was-changed-is-taken-over',
        'fedprompt_jax/experiment/shared_stage.py',
        "same == notes['log_sha256'][METRICS]",
        'same',
        'Losses of a run were edited by hand.',
        (
            'tests/shared_stage_test.py::test_nothing_is_taken_from_a_damaged_run',
        ),
    ),
    Mutation(
        'a-damaged-checkpoint-is-taken-over',
        'fedprompt_jax/experiment/shared_stage.py',
        'if integrity.fault(folder):',
        'if False:',
        'A run begins with a prompt that is not whole.',
        (
            'tests/shared_stage_test.py::test_nothing_is_taken_from_a_damaged_run',
        ),
    ),
    Mutation(
        'a-run-that-has-begun-is-replaced',
        'fedprompt_jax/experiment/shared_stage.py',
        'if _begun(root):',
        'if False:',
        'Rounds that were computed are lost.',
        (
            'tests/shared_stage_test.py::test_a_run_that_has_begun_takes_nothing',
        ),
    ),
    Mutation(
        'a-bank-of-one-stage-1-trains-it-many-times',
        'fedprompt_jax/study/runs.py',
        'if len(places) > 1]',
        'if len(places) > 10**9]',
        'A study takes many times as long.',
        (
            'tests/shared_stage_test.py::test_points_that_share_stage_1_come_after_one_of_them',
        ),
    ),
    Mutation(
        'versions-are-those-of-python-alone',
        'fedprompt_jax/experiment/versions.py',
        'for package in PACKAGES:',
        'for package in ():',
        'Nobody can tell with which JAX a number came out.',
        ('tests/run_info_test.py',),
    ),
    Mutation(
        'a-run-that-is-not-complete-is-drawn',
        'fedprompt_jax/study/outputs.py',
        'Run(folder, point.name) if end == table.COMPLETE else None',
        'Run(folder, point.name)',
        'A figure has a run that is not through.',
        (
            'tests/study_test.py::test_the_page_has_the_figure_its_caption_and_the_table',
        ),
    ),
    Mutation(
        'a-page-without-its-gaps',
        'fedprompt_jax/study/outputs.py',
        'gaps = table.gaps(records)',
        'gaps = []',
        'Nobody sees that a run has diverged.',
        (
            'tests/study_test.py::test_the_page_has_the_figure_its_caption_and_the_table',
        ),
    ),
    Mutation(
        'the-lines-of-all-panels-in-each',
        'fedprompt_jax/study/trajectories.py',
        '[r for r in results if panel(r.overrides) == title]',
        'list(results)',
        'All levels of heterogeneity look the same.',
        ('tests/profit_studies_test.py::test_a_line_without_a_run_is_named',),
    ),
    Mutation(
        'the-clients-of-seeds-are-the-same',
        'fedprompt_jax/study/trajectories.py',
        "return [row | {'run': result.name} for row in rows]",
        'return rows',
        'A mean over seeds is that of one.',
        ('tests/profit_studies_test.py::test_seeds_of_a_line_are_pooled',),
    ),
)
