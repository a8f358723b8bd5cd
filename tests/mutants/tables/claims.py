"""Mistakes in the verdicts on a paper's claims."""

from tests.mutants.mutation import Mutation

VERDICTS = 'fedprompt_jax/study/verdicts.py'
CLAIMS = 'fedprompt_jax/study/claims.py'
TESTS = 'tests/claims_test.py'

MUTATIONS = (
    Mutation(
        'an-estimate-above-0-is-enough',
        VERDICTS,
        'if interval.low > -margin:',
        'if interval.estimate > -margin:',
        'Noise is called a reproduction.',
        (f'{TESTS}::test_the_interval_decides',),
    ),
    Mutation(
        'half-of-a-claim-is-the-claim',
        VERDICTS,
        'if found == {REPRODUCED}:',
        'if REPRODUCED in found:',
        'A claim is reproduced although a comparison is undecided.',
        (f'{TESTS}::test_a_claim_is_what_its_comparisons_are',),
    ),
    Mutation(
        'a-contradiction-is-outvoted',
        VERDICTS,
        'if CONTRADICTED in found:',
        'if found == {CONTRADICTED}:',
        'A claim that one comparison contradicts is only undecided.',
        (f'{TESTS}::test_a_claim_is_what_its_comparisons_are',),
    ),
    Mutation(
        'groups-have-clients-of-their-own',
        VERDICTS,
        'trajectory.scores[[place[c] for c in shared]]',
        'trajectory.scores[list(place.values())[: len(shared)]]',
        'Clients of one seed are compared with those of another.',
        (
            f'{TESTS}::test_clients_that_one_group_lacks_are_left_out',
            f'{TESTS}::test_a_contrast_of_clients_in_another_order',
        ),
    ),
    Mutation(
        'seeds-are-not-told-apart',
        VERDICTS,
        'seeds = np.array([seed for seed, _ in shared])',
        'seeds = np.zeros(len(shared), int)',
        'The interval leaves out how seeds differ.',
        (f'{TESTS}::test_clients_are_paired',),
    ),
    Mutation(
        'weights-are-not-read',
        VERDICTS,
        'term.weight * value(part)',
        'value(part)',
        'A difference is a sum.',
        (f'{TESTS}::test_clients_are_paired',),
    ),
    Mutation(
        'levels-are-added-up',
        VERDICTS,
        'share = 1 / len(pairs)',
        'share = 1.0',
        'A mean over levels is their sum.',
        (f'{TESTS}::test_levels_count_alike',),
    ),
    Mutation(
        'a-fall-counts-as-a-rise',
        VERDICTS,
        'if sign < 0:',
        'if sign > 0:',
        'The decile that falls speaks against the claim that it falls.',
        (f'{TESTS}::test_a_decile_s_fall_is_above_0',),
    ),
    Mutation(
        'adam-is-compared-with-itself',
        'configs/studies/profit/figure_4.py',
        'of[level, other],',
        'ours,',
        'No difference is ever found.',
        (f'{TESTS}::test_adam_against_sgd_and_fedsgd',),
    ),
    Mutation(
        'runs-that-are-not-there-are-judged',
        CLAIMS,
        'if not complete:',
        'if False:',
        'A folder without runs gives a table of nothing.',
        (f'{TESTS}::test_without_any_run_the_folder_is_named',),
    ),
    Mutation(
        'an-archive-has-texts',
        'fedprompt_jax/study/archive.py',
        'if k not in TEXTS}',
        'if k}',
        'Private text goes into a repository.',
        (
            'tests/archive_test.py::test_it_has_no_model_no_text_and_nothing_of_the_machine',
        ),
    ),
    Mutation(
        'an-archive-is-not-sealed-anew',
        'fedprompt_jax/study/archive.py',
        "OF_THE_MACHINE = ('command', 'sha256')",
        "OF_THE_MACHINE = ('sha256',)",
        'Paths of the machine go into a repository.',
        (
            'tests/archive_test.py::test_it_has_no_model_no_text_and_nothing_of_the_machine',
        ),
    ),
    Mutation(
        'an-archive-has-the-first-epoch',
        'fedprompt_jax/study/archive.py',
        "line['epoch'] != last:",
        "line['epoch'] == last:",
        'The genie of an archive is of another prompt.',
        ('tests/archive_test.py::test_choices_by_example_are_the_same',),
    ),
    Mutation(
        'a-margin-is-not-read',
        VERDICTS,
        'return verdict(self.interval, self.margin)',
        'return verdict(self.interval)',
        'A best decile that stays where it is leaves the claim undecided.',
        (f'{TESTS}::test_a_claim_is_judged_with_its_margin',),
    ),
    Mutation(
        'all-averages-against-few-epochs',
        VERDICTS,
        'some = [averages[int(place)] for place in spread]',
        'some = averages',
        'The larger set of prompts wins by its size.',
        (f'{TESTS}::test_averages_are_as_many_as_epochs',),
    ),
    Mutation(
        'a-verdict-hides-that-it-is-of-one-seed',
        VERDICTS,
        'if not 0 < seeds < MANY:',
        'if True:',
        'A number of one seed is read as if it were of many.',
        (f'{TESTS}::test_a_verdict_of_few_seeds_says_so',),
    ),
    Mutation(
        'an-archive-removes-runs',
        'fedprompt_jax/study/archive.py',
        'if path.exists() and not is_archived(path):',
        'if not path.exists() and not is_archived(path):',
        'Checkpoints of other runs are lost.',
        (
            'tests/archive_test.py::test_a_folder_that_is_no_archive_is_not_lost',
        ),
    ),
    Mutation(
        'options-of-a-router-that-is-none-make-another-run',
        'fedprompt_jax/experiment/run_folder.py',
        "if 'router' not in (old.get(method), new.get(method)):",
        "if 'router' in (old.get(method), new.get(method)):",
        'All runs of an older version are refused.',
        (
            'tests/continuing_test.py::test_a_run_of_before_routers_'
            'and_measures_is_not_another',
        ),
    ),
    Mutation(
        'losses-of-neighbours-are-lost',
        'fedprompt_jax/federated/packed.py',
        'return losses if jnp.isfinite(losses).all() else once(isolate=True)',
        'return losses',
        'One client that overflows makes the curves of others NaN.',
        (
            'tests/simulation_test.py::test_a_poisonous_example_is_kept_to_its_owner',
        ),
    ),
)
