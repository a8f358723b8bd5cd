"""Mistakes in the statistics of the trade-off and in honest selection."""

from tests.mutants.mutation import Mutation

FRONTIER = 'fedprompt_jax/tradeoff/frontier.py'
BOOTSTRAP = 'fedprompt_jax/tradeoff/bootstrap.py'
CLIENTS = 'fedprompt_jax/tradeoff/clients.py'
TRAJECTORY = 'fedprompt_jax/report/trajectory.py'
STATISTICS = 'fedprompt_jax/report/statistics.py'
TABLE = 'fedprompt_jax/study/tradeoff_table.py'
SELECTION = 'fedprompt_jax/study/selection.py'
STUDY = 'configs/studies/profit/selection.py'
OUTPUTS = 'fedprompt_jax/study/outputs.py'


def of(file, *names):
    return tuple(f'tests/{file}_test.py::{name}' for name in names)


FRONT = of('statistics', 'test_the_front_by_comparing_all_pairs')
EQUAL = of(
    'statistics',
    'test_equal_points_are_on_the_front_together_and_absent_ones_never',
)
CELLS = of('statistics', 'test_the_hypervolume_by_counting_cells')
VOLUME = of('statistics', 'test_the_hypervolume_by_hand')
AREA = of('statistics', 'test_the_area_under_a_trajectory_by_hand')
BEST = of(
    'statistics', 'test_the_best_local_score_among_those_with_enough_global'
)
LOOP = of(
    'statistics', 'test_resamples_of_two_levels_are_those_of_a_plain_loop'
)
SEED = of('statistics', 'test_a_seed_counts_once_however_many_clients_it_has')
SCIPY = of('statistics', 'test_the_interval_over_one_seed_is_scipy_s')
PAIRED = of('statistics', 'test_methods_are_compared_on_the_same_clients')
LEFT_OUT = of(
    'statistics', 'test_a_client_without_a_score_is_left_out_of_all_prompts'
)
QUANTILE = of(
    'statistics', 'test_a_quantile_of_counts_is_numpy_s_of_repeated_values'
)
DECILES = of('statistics', 'test_deciles_by_axis_and_their_changes')
HURT = of('statistics', 'test_clients_hurt_and_the_worst_one')
ORDER = of('statistics', 'test_a_trajectory_has_prompts_in_their_order')
POOLED = of('statistics', 'test_runs_are_pooled_by_seed_and_paired_by_client')
RUN = of('statistics', 'test_statistics_of_a_run_by_hand')
NAMES = of(
    'statistics',
    'test_the_front_names_its_prompts_and_how_often_they_are_on_it',
)
SHOWN = of('statistics', 'test_what_a_run_prints_and_shows')
LINES = of('statistics', 'test_statistics_of_a_study_pool_the_seeds_of_a_line')
CRITERION = of('honest_selection', 'test_the_best_candidate_by_each_criterion')
ALLOWED = of(
    'honest_selection',
    'test_only_allowed_candidates_and_the_global_prompt_are_chosen',
)
FIRST = of('honest_selection', 'test_the_first_of_equal_candidates_is_chosen')
LOST = of(
    'honest_selection', 'test_a_candidate_that_lost_a_client_is_not_chosen'
)
ALIKE = of('honest_selection', 'test_seeds_count_alike_in_a_choice')
WORTH = of('honest_selection', 'test_what_a_choice_is_worth_by_hand')
BY_ID = of(
    'honest_selection',
    'test_clients_are_paired_by_seed_and_id_and_not_by_their_order',
)
CHOSEN = of(
    'honest_selection', 'test_the_table_has_the_choice_its_worth_and_the_oracle'
)
POISON = of('honest_selection', 'test_no_test_score_moves_a_choice')
SPLITS = of(
    'honest_selection', 'test_the_study_has_each_setting_on_both_splits'
)
FAMILIES = of('honest_selection', 'test_families_of_the_study')

MUTATIONS = (
    Mutation(
        'a-point-must-be-better-in-both-scores',
        FRONTIER,
        'better = (other_x > x) | (other_y > y)',
        'better = (other_x > x) & (other_y > y)',
        'Prompts that another one beats are on the front.',
        FRONT,
    ),
    Mutation(
        'absent-points-on-the-front',
        FRONTIER,
        'return present & ~beaten',
        'return ~beaten',
        'A prompt without a score is on the front.',
        EQUAL,
    ),
    Mutation(
        'strips-from-the-left',
        FRONTIER,
        'order = np.argsort(-beyond[..., 0], axis=-1)',
        'order = np.argsort(beyond[..., 0], axis=-1)',
        'The hypervolume.',
        CELLS,
    ),
    Mutation(
        'strips-as-high-as-their-own-point',
        FRONTIER,
        '(width - next_width) * np.maximum.accumulate(height, -1)',
        '(width - next_width) * height',
        'A point behind the front takes area away.',
        CELLS,
    ),
    Mutation(
        'points-below-the-reference-keep-their-width',
        FRONTIER,
        'np.where(present, np.maximum(beyond, 0), 0)',
        'np.where(present, beyond, 0)',
        'A prompt that is worse than the bare model has area.',
        CELLS,
    ),
    Mutation(
        'hypervolume-of-an-absent-reference',
        FRONTIER,
        'return np.where(np.isfinite(reference).all(-1), area, np.nan)',
        'return area',
        'Without a bare model the area is 0.',
        VOLUME,
    ),
    Mutation(
        'area-under-rectangles',
        FRONTIER,
        'steps * (height[..., 1:] + height[..., :-1]) / 2',
        'steps * height[..., 1:]',
        'The area under the trajectory.',
        AREA,
    ),
    Mutation(
        'area-without-a-sign',
        FRONTIER,
        'steps = np.diff(points[..., 0], axis=-1)',
        'steps = abs(np.diff(points[..., 0], axis=-1))',
        'A step back is counted as progress.',
        AREA,
    ),
    Mutation(
        'best-local-score-must-gain-global',
        FRONTIER,
        'enough = points[..., 1] >= least',
        'enough = points[..., 1] > least + 2 * ROUNDING',
        'A prompt that keeps the global score is no candidate.',
        BEST,
    ),
    Mutation(
        'rounding-loses-global-score',
        FRONTIER,
        'np.asarray(least_global, float)[..., None] - ROUNDING',
        'np.asarray(least_global, float)[..., None]',
        'Means of equal numbers are compared to the last bit.',
        BEST,
    ),
    Mutation(
        'seeds-are-not-drawn',
        BOOTSTRAP,
        'drawn[:, k] * size, np.full(size, 1 / size)',
        'np.full(resamples, size), np.full(size, 1 / size)',
        'The interval ignores the differences between seeds.',
        LOOP,
    ),
    Mutation(
        'one-draw-of-clients-a-seed',
        BOOTSTRAP,
        'times[:, seeds == name] = rng.multinomial(\n'
        '            drawn[:, k] * size, np.full(size, 1 / size)\n'
        '        )',
        'times[:, seeds == name] = drawn[:, k, None]',
        'Clients within a seed are not drawn.',
        SCIPY,
    ),
    Mutation(
        'a-seed-counts-by-its-clients',
        BOOTSTRAP,
        'return times / (sizes[places] * len(sizes))',
        'return times / (0 * sizes[places] + len(seeds))',
        'A seed with more clients weighs more.',
        SEED,
    ),
    Mutation(
        'interval-of-one-side',
        BOOTSTRAP,
        '[(1 - level) / 2, (1 + level) / 2]',
        '[(1 - level), (1 + level) / 2]',
        'The lower ends of intervals.',
        SCIPY,
    ),
    Mutation(
        'difference-keeps-clients-of-one-method',
        BOOTSTRAP,
        'np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2))',
        'np.isfinite(a).all((1, 2))',
        'A client without a score in the other method makes all NaN.',
        PAIRED,
    ),
    Mutation(
        'difference-the-other-way-round',
        BOOTSTRAP,
        'statistic(first) - statistic(second)',
        'statistic(second) - statistic(first)',
        'The sign of every comparison.',
        PAIRED,
    ),
    Mutation(
        'dropped-clients-are-not-counted',
        BOOTSTRAP,
        '    dropped = int((~whole).sum())\n    found = of_counts(values',
        '    dropped = 0\n    found = of_counts(values',
        'The number of dropped clients.',
        LEFT_OUT,
    ),
    Mutation(
        'quantile-without-interpolation',
        CLIENTS,
        'values[first] * (1 - part) + values[second] * part',
        'values[first]',
        'Every decile.',
        QUANTILE,
    ),
    Mutation(
        'quantile-one-place-too-far',
        CLIENTS,
        'place = (upto[:, -1] - 1) * share',
        'place = upto[:, -1] * share',
        'Every decile.',
        QUANTILE,
    ),
    Mutation(
        'changes-of-deciles-the-other-way-round',
        CLIENTS,
        'found[1] - found[0]',
        'found[0] - found[1]',
        'Whether the worst decile falls.',
        DECILES,
    ),
    Mutation(
        'deciles-with-clients-without-scores',
        CLIENTS,
        'whole = np.isfinite(scores).all((0, 2))',
        'whole = np.isfinite(scores).any((0, 2))',
        'One lost client makes every decile NaN.',
        DECILES,
    ),
    Mutation(
        'helped-clients-are-hurt',
        CLIENTS,
        'change < -ROUNDING',
        'change > -ROUNDING',
        'The share of clients hurt.',
        HURT,
    ),
    Mutation(
        'the-worst-client-is-the-best',
        CLIENTS,
        'np.where(whole[:, None], change, np.inf).argmin(0)',
        'np.where(whole[:, None], change, -np.inf).argmax(0)',
        'The worst client.',
        HURT,
    ),
    Mutation(
        'averages-of-every-epoch',
        TRAJECTORY,
        "row['epoch'] == averaged_epoch",
        'averaged_epoch is not None',
        'Averages after an earlier epoch are prompts.',
        ORDER,
    ),
    Mutation(
        'epochs-out-of-order',
        TRAJECTORY,
        'order.index(p.label), p.epoch, p.alpha or 0.0',
        'order.index(p.label), -p.epoch, p.alpha or 0.0',
        'The trajectory runs backwards.',
        ORDER,
    ),
    Mutation(
        'all-clients-of-one-seed',
        TRAJECTORY,
        'np.array([seed for _, seed, _ in scores])',
        'np.array([0 for _, seed, _ in scores])',
        'Intervals over one level.',
        POOLED,
    ),
    Mutation(
        'clients-paired-by-id-alone',
        TRAJECTORY,
        '{(seed, i): n for n, (_, seed, i)',
        '{(0 * seed, i): n for n, (_, seed, i)',
        'Clients of different seeds are paired.',
        POOLED,
    ),
    Mutation(
        'gain-after-the-first-epoch',
        STATISTICS,
        'start, end = path[0], path[-1]\n    wanted',
        'start, end = path[0], path[1]\n    wanted',
        'Gains and hurt clients are of an earlier prompt.',
        RUN,
    ),
    Mutation(
        'no-loss-against-the-bare-model',
        STATISTICS,
        'points[:, places], points[:, start, 1]',
        'points[:, places], points[:, 0, 1]',
        'The best local score may lose global score.',
        RUN,
    ),
    Mutation(
        'hypervolume-beyond-the-global-prompt',
        STATISTICS,
        '_hypervolume(places, bare)',
        '_hypervolume(places, start)',
        'The reference of the hypervolume.',
        RUN,
    ),
    Mutation(
        'front-with-the-bare-model',
        STATISTICS,
        "places = [*trajectory.path, *trajectory.places('averaged')]",
        "places = [*trajectory.places('averaged'), *trajectory.path[:1]]",
        'The prompts on the front.',
        NAMES,
    ),
    Mutation(
        'one-seed-is-said-to-be-several',
        STATISTICS,
        'if seeds > 1:\n        over',
        'if seeds > 0:\n        over',
        'A reader takes an interval over clients for one over seeds.',
        SHOWN,
    ),
    Mutation(
        'a-line-of-its-first-run',
        TABLE,
        'trajectory.of_runs(runs, metric)',
        'trajectory.of_runs(runs[:1], metric)',
        'Statistics of a line are those of one seed.',
        LINES,
    ),
    Mutation(
        'ends-of-an-interval-swapped',
        TABLE,
        "values[f'tradeoff.{name}.low'] = interval.low",
        "values[f'tradeoff.{name}.low'] = interval.high",
        'Columns of table.csv.',
        LINES,
    ),
    Mutation(
        'the-bare-model-is-chosen',
        SELECTION,
        "if prompt.label == 'bare' or not (",
        'if not (',
        'A prompt that nobody trained is a choice.',
        CRITERION,
    ),
    Mutation(
        'loss-of-global-is-allowed',
        SELECTION,
        "criterion == 'no_loss' and not kept",
        "criterion == 'no_loss' and kept is None",
        'The choice at no loss loses.',
        CRITERION,
    ),
    Mutation(
        'mean-is-the-local-score',
        SELECTION,
        "return (local + common) / 2 if criterion == 'mean' else local",
        'return local',
        'Two criteria are one.',
        CRITERION,
    ),
    Mutation(
        'the-global-prompt-is-no-candidate',
        SELECTION,
        'prompt == GLOBAL or allowed(setting, prompt)',
        'allowed(setting, prompt)',
        'Personalization that hurts is chosen.',
        ALLOWED,
    ),
    Mutation(
        'the-last-of-equal-candidates',
        SELECTION,
        'score > best.score',
        'score >= best.score',
        'A choice depends on the order of runs otherwise than documented.',
        FIRST,
    ),
    Mutation(
        'a-lost-client-is-forgiven',
        SELECTION,
        'return bootstrap.mean_points(weights, trajectory.scores)[0]',
        'scores = np.nan_to_num(trajectory.scores)\n'
        '    return bootstrap.mean_points(weights, scores)[0]',
        'A setting whose clients diverge is chosen.',
        LOST,
    ),
    Mutation(
        'a-choice-weighs-clients-alike',
        SELECTION,
        'weights = bootstrap.weights_of(once, trajectory.seeds)',
        'weights = bootstrap.weights_of(once, 0 * trajectory.seeds)',
        'A seed with more clients decides.',
        ALIKE,
    ),
    Mutation(
        'gap-of-the-oracle-to-itself',
        SELECTION,
        'trajectory.scores[ours][:, [place]]',
        'other.scores[theirs][:, [best]]',
        'The gap is 0.',
        WORTH,
    ),
    Mutation(
        'gap-of-clients-by-their-order',
        SELECTION,
        'other.scores[theirs][:, [best]]',
        'other.scores[ours][:, [best]]',
        'The gap is not paired.',
        BY_ID,
    ),
    Mutation(
        'change-against-itself',
        SELECTION,
        'trajectory.scores[:, [place, start]]',
        'trajectory.scores[:, [place, place]]',
        'The loss of global score on test clients.',
        WORTH,
    ),
    Mutation(
        'test-clients-choose',
        SELECTION,
        'chosen = choose(validation, criterion, allowed)',
        'chosen = choose(test, criterion, allowed)',
        'The choice is the oracle.',
        POISON,
    ),
    Mutation(
        'validation-clients-judge',
        SELECTION,
        "for split in ('validation', 'test')",
        "for split in ('validation', 'validation')",
        'Scores of a choice are those it was chosen by.',
        CHOSEN,
    ),
    Mutation(
        'selection-on-one-split',
        STUDY,
        'selection.SPLIT: split',
        "selection.SPLIT: 'test'",
        'Validation clients are test clients.',
        SPLITS,
    ),
    Mutation(
        'frozen-rows-are-plain',
        STUDY,
        "'+ λ, α': lambda s, p: _remedy(s) not in FROZEN",
        "'+ λ, α': lambda s, p: _remedy(s) != PLAIN",
        'A family has candidates of another one.',
        FAMILIES,
    ),
    Mutation(
        'statistics-of-the-runs-in-another-order',
        OUTPUTS,
        'runs = [result.run for result in found]',
        'runs = [result.run for result in found[::-1]]',
        'Statistics beside the name of another line.',
        of('statistics', 'test_a_study_leaves_the_statistics_of_its_lines'),
    ),
    Mutation(
        'before-and-after-swapped',
        STATISTICS,
        'for i in (path[0], path[-1])',
        'for i in (path[-1], path[0])',
        'Hurt clients are helped, and deciles change the other way.',
        RUN,
    ),
    Mutation(
        'the-worst-client-of-another-line',
        TABLE,
        '_, seed, client = found.clients[place]',
        '_, seed, client = found.clients[0 * place - 1]',
        'The name of the worst client.',
        LINES,
    ),
)
