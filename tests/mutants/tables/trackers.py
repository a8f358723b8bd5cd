"""Mistakes in what TensorBoard and Weights & Biases show of a run."""

from tests.mutants.mutation import Mutation

EXPERIMENT = 'fedprompt_jax/experiment'
FOLLOWING = f'{EXPERIMENT}/trackers/__init__.py'
TENSORBOARD = f'{EXPERIMENT}/trackers/tensorboard.py'
WANDB = f'{EXPERIMENT}/trackers/wandb.py'
SCALARS = f'{EXPERIMENT}/scalars.py'
SCORES = f'{EXPERIMENT}/scores.py'

TEST = 'tests/trackers_test.py'
POINTS = (f'{TEST}::test_tensorboard_shows_every_point_once',)
LINES = (f'{TEST}::test_wandb_shows_every_line_once',)
RESTART = (
    f'{TEST}::test_wandb_s_run_is_the_same_after_a_restart_and_has_the_config',
)
FAILS = (f'{TEST}::test_a_tracker_that_fails_does_not_end_the_run',)

MUTATIONS = (
    Mutation(
        'old-events-stay-in-tensorboard',
        TENSORBOARD,
        'shutil.rmtree(folder)\n        folder.mkdir()',
        'pass\n        folder.mkdir(exist_ok=True)',
        'After a restart TensorBoard shows points twice.',
        POINTS,
    ),
    Mutation(
        'tensorboard-s-step-is-the-line',
        TENSORBOARD,
        'del number\n        (step,) = axis(line).values()',
        'step = number',
        'Curves over lines are taken for curves over rounds.',
        POINTS,
    ),
    Mutation(
        'old-lines-stay-in-wandb',
        WANDB,
        'shutil.rmtree(folder)',
        'print(folder)',
        'After a restart W&B shows lines twice.',
        LINES,
    ),
    Mutation(
        'a-restart-is-another-run-of-wandb',
        WANDB,
        "if 'wandb' not in run.info:",
        'if run.info:',
        'One run is several in W&B.',
        RESTART,
    ),
    Mutation(
        'wandb-is-sent-lines-again',
        WANDB,
        'if number >= self._logged.starting_step:',
        'if number >= 0:',
        'W&B warns of every line that it has.',
        (f'{TEST}::test_wandb_s_server_is_not_given_again_what_it_has',),
    ),
    Mutation(
        'trackers-begin-where-the-run-resumes',
        FOLLOWING,
        '        for line in run.metrics():\n            add(line)\n',
        '',
        'After a restart the first rounds are missing in TensorBoard.',
        POINTS,
    ),
    Mutation(
        'a-tracker-ends-the-run',
        FOLLOWING,
        'except Exception as error:',
        'except KeyError as error:',
        'A full disk of TensorBoard ends a run of days.',
        FAILS,
    ),
    Mutation(
        'a-tracker-that-failed-goes-on',
        FOLLOWING,
        'trackers.pop(name, None)',
        'trackers.get(name)',
        'A warning a round, and curves with holes.',
        FAILS,
    ),
    Mutation(
        'every-process-has-trackers',
        FOLLOWING,
        'if run.writes else ():',
        'if run.config is not None else ():',
        'Each point is shown once a process.',
        (f'{TEST}::test_the_first_process_alone_has_trackers',),
    ),
    Mutation(
        'averaged-prompts-share-a-name',
        SCALARS,
        "if line['prompt'] == 'averaged' else ''",
        "if line['prompt'] == 'alpha' else ''",
        'Scores of two alphas are one curve.',
        POINTS,
    ),
    Mutation(
        'scalars-may-be-infinite',
        SCALARS,
        '        and math.isfinite(value)\n',
        '',
        'Charts of W&B and TensorBoard with NaN.',
        (f'{TEST}::test_what_is_not_finite_is_left_out',),
    ),
    Mutation(
        'means-mix-local-and-global-scores',
        SCORES,
        "row[name] for row in rows if row['split'] == split",
        'row[name] for row in rows',
        'Local and global scores in metrics.jsonl.',
        (f'{TEST}::test_means_of_scores_are_those_of_the_final_table',),
    ),
)
