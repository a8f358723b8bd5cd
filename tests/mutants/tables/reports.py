"""Mistakes in the report of a run: its table, its figures, its costs."""

from tests.mutants.mutation import Mutation

ROOM = 'fedprompt_jax/report'
CANVAS = f'{ROOM}/canvas.py'
CLIENT_PLOTS = f'{ROOM}/figures/clients.py'
COSTS = f'{ROOM}/costs.py'
PAGE = f'{ROOM}/page.py'
PLOTS = f'{ROOM}/figures/training.py'
NORMS_FIGURE = f'{ROOM}/figures/norms.py'
MARKUP = f'{ROOM}/markup.py'
ROUNDS = f'{ROOM}/rounds.py'
RUN = f'{ROOM}/run.py'
DRAWING = f'{ROOM}/drawing.py'
COMPARISON = f'{ROOM}/comparison.py'
FIGURES = f'{ROOM}/figures/__init__.py'
POINTS = f'{ROOM}/points.py'
RECORDS = f'{ROOM}/records.py'
SUMMARY = f'{ROOM}/summary.py'
TRADEOFF_PLOTS = f'{ROOM}/figures/tradeoff.py'

COSTS_BY_HAND = ('tests/report_test.py::test_costs_by_hand',)
ACROSS = (
    'tests/drawn_test.py::test_local_scores_lie_across_and_global_ones_up',
)
ANCHORS = (
    'tests/drawn_test.py::test_the_anchors_are_where_their_prompts_score',
)
ARROWS = (
    'tests/drawn_test.py::test_arrows_go_from_the_global_to_the_own_prompt',
)
BY_ROUND = ('tests/drawn_test.py::test_losses_and_validation_by_round',)
NORMS = ('tests/drawn_test.py::test_norms_by_round_on_a_log_axis',)
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

MUTATIONS = (
    Mutation(
        'a-figure-is-not-listed',
        FIGURES,
        'there = sorted(m.name for m in pkgutil.iter_modules(__path__))',
        'there = [m.name for m in pkgutil.iter_modules(__path__)][:-1]',
        'A figure of the report is missing.',
        ('tests/drawn_test.py',),
    ),
    Mutation(
        'a-figure-that-fails-ends-the-run',
        DRAWING,
        'except Exception as error:',
        'except KeyError as error:',
        'A run is never complete for the fault of a picture.',
        (
            'tests/figures_test.py::test_a_faulty_figure_is_reported_and_the_run_is_complete',
        ),
    ),
    Mutation(
        'the-report-of-several-runs-replaces-that-of-one',
        COMPARISON,
        'if is_run(output):',
        'if not output:',
        'The report of a run is lost.',
        ('tests/report_test.py',),
    ),
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
        'paint_arrows(left, epochs[0], epochs[last], last)',
        'paint_arrows(left, epochs[0], epochs[min(set(epochs) - {0})], last)',
        'Figure 17 is of the first epoch.',
        ARROWS,
    ),
    Mutation(
        'percentiles-over-splits',
        CLIENT_PLOTS,
        'np.percentile(list(points.values()), q, axis=0)',
        'np.percentile(list(points.values()), q, axis=1)[:2]',
        'Figure 18.',
        ('tests/drawn_test.py::test_percentiles_are_over_clients',),
    ),
    Mutation(
        'worst-and-best-percentiles-swapped',
        CLIENT_PLOTS,
        "90: ('90th', '--'), 50: ('50th', '-'), 10: ('10th', ':')",
        "90: ('10th', '--'), 50: ('50th', '-'), 10: ('90th', ':')",
        'Figure 18.',
        ('tests/drawn_test.py::test_percentiles_are_over_clients',),
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
        "**dict.fromkeys(('validation', 'views', 'score'), _EVALUATION),",
        "**dict.fromkeys(('validation', 'views', 'score'), 'training'),",
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
            'test_the_lost_prompts_of_the_last_epoch_are_reported',
        ),
    ),
    Mutation(
        'seconds-of-the-last-start-for-the-run',
        PAGE,
        "once = len(run.info.get('starts') or ()) <= 1",
        'once = True',
        'A resumed run seems to cost what its last start did.',
        (
            'tests/report_test.py::test_seconds_of_one_of_'
            'several_starts_are_not_those_of_the_run',
        ),
    ),
    Mutation(
        'text-of-the-data-is-html',
        MARKUP,
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
        NORMS_FIGURE,
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
        ROUNDS,
        "return np.array([x['round'] for x in lines], float), values",
        'return np.arange(len(lines), dtype=float), values',
        'Figures of sparse validation.',
        BY_ROUND,
    ),
    Mutation(
        'the-star-is-the-last-validation',
        PLOTS,
        'axes[1], scores, run.chosen_validation, run.selection',
        'axes[1], scores, scores[-1], run.selection',
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
        "epochs = {0: points(rows, 'global', metric)}",
        "epochs = {0: points(rows, 'initial', metric)}",
        'Personalization seems to begin without stage 1.',
        ACROSS,
    ),
    Mutation(
        'dropped-clients-are-points',
        POINTS,
        'return {c: xy for c, xy in pairs.items() if np.isfinite(xy).all()}',
        'return pairs',
        'A figure says that no client was dropped.',
        ARROWS,
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
        'an-empty-score-reads-as-zero',
        RECORDS,
        "return float(text or 'nan')",
        'return float(text or 0)',
        'Dropped clients count as clients of score 0.',
        ('tests/report_test.py::test_an_empty_score_is_none',),
    ),
    Mutation(
        'the-initial-prompt-may-be-starred',
        RUN,
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
        RUN,
        "loss = -line.get('loss', math.inf)",
        "loss = line.get('loss', math.inf)",
        'The report stars another prompt than goes to stage 2.',
        (
            'tests/report_test.py::'
            'test_an_initial_prompt_is_never_the_starred_one',
        ),
    ),
    Mutation(
        'what-run-json-says-is-not-asked',
        RUN,
        'if chosen is not None:\n            scored',
        'if chosen is None:\n            scored',
        'The report stars another prompt than goes to stage 2.',
        STARRED,
    ),
    Mutation(
        'units-of-losses-swapped',
        'fedprompt_jax/data/examples.py',
        "'nats a target token, mean over examples',",
        "'nats a target token ',",
        'The unit of a loss in the report.',
        ('tests/report_test.py::test_a_loss_is_in_the_unit_of_the_config',),
    ),
    Mutation(
        'table-s-error-with-ddof-0',
        SUMMARY,
        'numbers.std(ddof=1) / math.sqrt(numbers.size)',
        'numbers.std(ddof=0) / math.sqrt(numbers.size)',
        'Error bars are too short.',
        MEANS,
    ),
    Mutation(
        'standard-deviation-for-standard-error',
        SUMMARY,
        'numbers.std(ddof=1) / math.sqrt(numbers.size)',
        'numbers.std(ddof=1)',
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
        'last = last_epoch(prompt_rows, prompt)',
        "last = min((r['epoch'] for r in prompt_rows), default=0)",
        'The final table is not of the last epoch.',
        LAST_EPOCH,
    ),
    Mutation(
        'averages-of-all-alphas-are-one-row',
        SUMMARY,
        'groups[prompt, alpha] = by_alpha[alpha]',
        'groups[prompt, None] = by_alpha[alpha]',
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
        "of_split = [r for r in rows if r['split'] == split]",
        "of_split = [r for r in rows if r['split'] == 'local']",
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
        'shared = {p: points.points(rows, p, metric) for p in '
        "('bare', 'initial')}",
        'shared = {p: points.points(rows, q, metric) for p, q in '
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
    Mutation(
        'several-runs-are-the-first-one',
        f'{ROOM}/__main__.py',
        'print(comparison.write(args.runs, args.output))',
        'print(comparison.write(args.runs[:1], args.output))',
        'A comparison of runs shows one of them.',
        (
            'tests/report_test.py::test_the_command_compares_runs_and_changes_none',
        ),
    ),
    Mutation(
        'what-comes-before-the-rounds-is-evaluation',
        COSTS,
        "_STAGES.get(str(line.get('stage')), _BEFORE)",
        "_STAGES.get(str(line.get('stage')), _EVALUATION)",
        "A distillation is told as evaluation's share of the time.",
        COSTS_BY_HAND,
    ),
)
