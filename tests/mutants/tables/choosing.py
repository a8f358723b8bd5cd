"""Mistakes in how a prompt is chosen by example, and in what it transfers."""

from tests.mutants.mutation import Mutation

_ROUTING = 'fedprompt_jax/evaluation/routing.py'
_SCORING = 'fedprompt_jax/evaluation/scoring.py'
_SHAPES = 'fedprompt_jax/data/shapes.py'
_MERGED = 'fedprompt_jax/study/merged.py'
_METHOD = 'fedprompt_jax/personalization/router.py'
_METHODS = 'fedprompt_jax/personalization/__init__.py'
_PERSONALIZE = 'fedprompt_jax/experiment/personalize.py'
_SCORES = 'fedprompt_jax/experiment/scores.py'
_BUILD = 'fedprompt_jax/experiment/build.py'
_FITTED = 'fedprompt_jax/study/routing.py'
_SEEN = 'fedprompt_jax/study/seen_types.py'
_TRANSFER = 'fedprompt_jax/report/transfer.py'
_HEAT_MAP = 'fedprompt_jax/report/figures/transfer.py'
_TYPES = 'fedprompt_jax/report/task_types.py'
_ANSWERS = 'fedprompt_jax/report/answers.py'
_GENIE = 'fedprompt_jax/report/genie.py'

_LAWS = 'tests/router_test.py::'
_SINGLE = (
    _LAWS + 'test_confidences_are_those_of_a_loop_of_single_calls',
    _LAWS + 'test_without_the_query_answers_have_the_same_confidence',
)
_LIMITS = (_LAWS + 'test_its_limits_are_the_two_prompts_to_the_bit',)
_TAKEN = (
    _LAWS + 'test_every_score_is_that_of_the_prompt_that_was_taken',
    _LAWS + 'test_the_more_confident_prompt_answers',
)
_RUN = (
    _LAWS + 'test_a_run_has_the_answers_of_both_rules_after_its_last_epoch',
)
_LONG = (_LAWS + 'test_long_answers_and_queries_find_room',)
_FIT = 'tests/fitted_routing_test.py::'
_BEST = (_FIT + 'test_no_threshold_of_a_fine_grid_is_better',)
_BY_HAND = (
    _FIT + 'test_scores_of_the_prompts_the_router_and_the_genie_by_hand',
)
_READ = (_FIT + 'test_records_become_examples',)
_MATRIX = 'tests/transfer_test.py::'

MUTATIONS = (
    # --- The router ---------------------------------------------------------
    Mutation(
        'router-takes-the-less-confident-prompt',
        _ROUTING,
        'self.difference(rule) > threshold',
        'self.difference(rule) < threshold',
        'The router is worse than both prompts.',
        _TAKEN,
    ),
    Mutation(
        'router-of-equals-takes-its-own',
        _ROUTING,
        'self.difference(rule) > threshold',
        'self.difference(rule) >= threshold',
        'An equal prompt is not the global one.',
        (_LAWS + 'test_equal_prompts_go_to_the_shared_one',),
    ),
    Mutation(
        'router-ignores-its-threshold',
        _ROUTING,
        'own = pair.takes_own(self.rule, self.threshold)',
        'own = pair.takes_own(self.rule, 0.0)',
        'A threshold of the config has no effect.',
        _LIMITS,
    ),
    Mutation(
        'router-has-one-rule',
        _ROUTING,
        'own, shared = (getattr(c, rule) for c in self.confidence)',
        'own, shared = (c.answer for c in self.confidence)',
        'Both labels have the same answers.',
        _TAKEN,
    ),
    Mutation(
        'router-shares-the-personal-prompt',
        _ROUTING,
        'shared = self.evaluator.score(self.shared, list(place), progress)',
        'shared = self.evaluator.score(bank, list(place), progress)',
        'The router chooses between a prompt and itself.',
        _LIMITS,
    ),
    Mutation(
        'router-mixes-up-the-shared-answers',
        _ROUTING,
        '(own, _taken(shared, at)),',
        '(own, _taken(shared, sorted(at))),',
        'A shared answer is that to another example.',
        _LIMITS,
    ),
    Mutation(
        'confidence-of-the-query-has-the-answer',
        _ROUTING,
        'query[i] = -values[:split].mean()',
        'query[i] = -values.mean()',
        'The rule of the query looks at the answer.',
        _SINGLE,
    ),
    Mutation(
        'confidence-of-the-answer-has-the-query',
        _ROUTING,
        'answer[i] = np.fmax(answer[i], -values[split:].mean())',
        'answer[i] = np.fmax(answer[i], -values.mean())',
        'The rule of the answer looks at the query.',
        _SINGLE,
    ),
    Mutation(
        'confidence-is-a-sum',
        _ROUTING,
        'answer[i] = np.fmax(answer[i], -values[split:].mean())',
        'answer[i] = np.fmax(answer[i], -values[split:].sum())',
        'Long answers are less confident.',
        _SINGLE,
    ),
    Mutation(
        'confidence-of-the-last-end',
        _ROUTING,
        'answer[i] = np.fmax(answer[i], -values[split:].mean())',
        'answer[i] = -values[split:].mean()',
        'An answer ends with a token that was not generated.',
        _SINGLE,
    ),
    Mutation(
        'confidence-without-an-end',
        _ROUTING,
        'if len(output) >= ends.most:',
        'if len(output) > 0:',
        'An answer that stops early is as good as one that goes on.',
        _SINGLE,
    ),
    Mutation(
        'confidence-of-a-choice-is-a-sum',
        _ROUTING,
        'return -scores.choice_losses[i][k] / len(store.choices('
        'request.instance)[k])',
        'return -scores.choice_losses[i][k]',
        'Long options are less confident.',
        _SINGLE,
    ),
    Mutation(
        'a-dead-client-is-answered-for',
        _ROUTING,
        '> threshold) | dead',
        '> threshold)',
        'A client that diverged has scores of the global prompt.',
        (
            _LAWS + 'test_a_prompt_that_is_not_finite_drops_its_client_alone',
        ),
    ),
    Mutation(
        'router-forgets-the-work',
        _ROUTING,
        'self._known = bank, requests, found',
        'self._known = None',
        'Every rule generates all answers anew.',
        (_LAWS + 'test_the_rules_share_the_work',),
    ),
    Mutation(
        'router-remembers-another-bank',
        _ROUTING,
        'if self._known and self._known[0] is bank:',
        'if self._known:',
        'A later bank has the answers of an earlier one.',
        (_LAWS + 'test_the_rules_share_the_work',),
    ),
    Mutation(
        'notes-of-the-wrong-prompt',
        _ROUTING,
        'SHARED: of(1, i),',
        'SHARED: of(0, i),',
        'No threshold can be fitted from the records.',
        (_LAWS + 'test_what_a_threshold_is_fitted_from_is_noted',),
    ),
    Mutation(
        'row-of-a-query-is-too-short',
        _SHAPES,
        'length = max(last.length, _up(tokens))',
        'length = last.length',
        'A run stops at its longest answer.',
        _LONG,
    ),
    Mutation(
        'row-of-a-query-has-few-targets',
        _SHAPES,
        'last = Shape(length, max(length, _up(targets)), tuple(sorted(fewer)))',
        'last = Shape(length, last.targets, tuple(sorted(fewer)))',
        'A run stops at its longest query.',
        _LONG,
    ),
    Mutation(
        'losses-in-rows-of-the-store',
        _SCORING,
        'wide, found = self._replace(packer=packer), []',
        'wide, found = self, []',
        'A run stops at its longest query.',
        _LONG,
    ),
    Mutation(
        'merged-losses-of-another-run',
        _MERGED,
        'losses[end - len(r.examples) : end]',
        'losses[: len(r.examples)]',
        'All runs of a bank have the confidences of the first.',
        (
            'tests/rendezvous_test.py::'
            'test_losses_together_are_losses_alone',
        ),
    ),
    Mutation(
        'router-of-the-other-threshold',
        _METHOD,
        "c[f'{rule}_threshold'], QUERY in rules",
        "c['query_threshold'], QUERY in rules",
        'The threshold of one rule is that of the other.',
        (_LAWS + 'test_each_rule_has_its_threshold',),
    ),
    Mutation(
        'router-loses-the-averages',
        _METHOD,
        'return [*base.last_answers(state, params), *routed]',
        'return routed',
        'Averaged prompts are not scored.',
        (_LAWS + 'test_each_rule_has_its_threshold',),
    ),
    Mutation(
        'a-query-behind-an-encoder',
        _METHOD,
        'elif model.encoder is not None:',
        'elif model.encoder is None and not model.causal:',
        'The likelihood of a query is computed where there is none.',
        (_LAWS + 'test_a_model_without_a_likelihood_of_the_query_is_refused',),
    ),
    Mutation(
        'the-model-of-a-method-is-not-checked',
        _METHODS,
        'yield from check(config, model, kind)',
        'yield from ()',
        'A run fails after hours of training.',
        (_LAWS + 'test_a_model_without_a_likelihood_of_the_query_is_refused',),
    ),
    Mutation(
        'a-method-s-model-is-not-checked-at-the-start',
        _BUILD,
        '*personalization.model_faults(config, model_config, kind),',
        '',
        'A run fails after hours of training.',
        (
            _LAWS + 'test_a_model_that_cannot_route_by_query_is_refused_before'
            '_its_data',
        ),
    ),
    Mutation(
        'routed-answers-are-the-personalized-ones',
        _PERSONALIZE,
        'if answer.route is None:',
        'if True:',
        'The rows of the router are those of the personalized prompt.',
        _RUN,
    ),
    Mutation(
        'answers-end-at-another-length',
        _PERSONALIZE,
        'experiment.config.evaluation.max_new_tokens,',
        '1,',
        'The end of a generated answer is left out of its confidence.',
        (_LAWS + 'test_a_run_compares_with_the_global_prompt_in_every_place',),
    ),
    Mutation(
        'predictions-without-notes',
        _SCORES,
        'return line | dict(scores.notes[i] if scores.notes else {})',
        'return line',
        'No threshold can be fitted from the records.',
        _RUN,
    ),
    Mutation(
        'predictions-of-another-type',
        _SCORES,
        "'type': task['categories'][0],",
        "'type': task['categories'][-1] + '?',",
        'Tables by task type are wrong.',
        (
            'tests/prompt_scores_test.py::test_a_prediction_says_what_was_'
            'answered_and_what_it_is_worth',
        ),
    ),
    # --- Thresholds that are fitted -------------------------------------
    Mutation(
        'fitted-on-the-test-clients',
        _FITTED,
        "f'{rule}, fitted': fit(there, rule)",
        "f'{rule}, fitted': fit(here, rule)",
        'The threshold has seen the scores that it is judged by.',
        (_FIT + 'test_test_scores_have_no_part_in_the_choice',),
    ),
    Mutation(
        'fitted-to-the-worst',
        _FITTED,
        'at = np.bincount(place, gain, len(values))',
        'at = np.bincount(place, -gain, len(values))',
        'The threshold is the worst one.',
        _BEST,
    ),
    Mutation(
        'fitted-one-value-off',
        _FITTED,
        'for low, high in itertools.pairwise(edges)',
        'for low, high in itertools.pairwise(edges[1:])',
        'The threshold is that of the next example.',
        (*_BEST, _FIT + 'test_of_equal_thresholds_the_one_nearest_to_0'),
    ),
    Mutation(
        'fitted-over-examples',
        _FITTED,
        'return self.splits / np.maximum(1, counts)[self.client]',
        'return self.splits / len(self.client) * clients',
        'Clients with many examples weigh more.',
        (*_BEST, *_BY_HAND),
    ),
    Mutation(
        'fitted-far-from-0',
        _FITTED,
        'k = min(good, key=lambda k: abs(thresholds[k]))',
        'k = max(good, key=lambda k: abs(thresholds[k]))',
        'Examples are routed for nothing.',
        (_FIT + 'test_of_equal_thresholds_the_one_nearest_to_0',),
    ),
    Mutation(
        'weights-of-the-two-rules-swapped',
        _FITTED,
        '((weight, self.query), (1 - weight, self.answer))',
        '((weight, self.answer), (1 - weight, self.query))',
        'The threshold of the query is applied to the answer.',
        (_FIT + 'test_an_unknown_difference_is_0', *_BEST),
    ),
    Mutation(
        'the-genie-is-the-worst',
        _FITTED,
        'better = examples.own >= examples.shared',
        'better = examples.own < examples.shared',
        'The share of the gap is of the wrong distance.',
        _BY_HAND,
    ),
    Mutation(
        'the-gap-to-the-worse-prompt',
        _FITTED,
        "np.maximum(of['global'], of['personalized'])",
        "np.minimum(of['global'], of['personalized'])",
        'The router gets credit for what one prompt does alone.',
        _BY_HAND,
    ),
    Mutation(
        'a-share-of-no-gap-is-a-number',
        _FITTED,
        'return np.where(gap > TOLERANCE, share, np.nan)',
        'return np.where(gap > TOLERANCE, share, 0.0)',
        'An average over nothing is 0.',
        _BY_HAND,
    ),
    Mutation(
        'dropped-clients-are-fitted-on',
        _FITTED,
        "kept = [x for x in lines if x['client'] not in dropped]",
        "kept = [x for x in lines if x['rouge_l'] != -1]",
        'A client that diverged breaks the table.',
        _READ,
    ),
    Mutation(
        'both-labels-are-read',
        _FITTED,
        "if line['prompt'] == label:",
        'if label:',
        'Every example counts twice.',
        _READ,
    ),
    # --- Seen and held-out types ----------------------------------------
    Mutation(
        'gain-of-the-global-prompt',
        _SEEN,
        'return lambda points: points[:, 1, s] - points[:, 0, s]',
        'return lambda points: points[:, 0, s] - points[:, 1, s]',
        'Personalization seems to harm.',
        ('tests/seen_types_test.py',),
    ),
    Mutation(
        'unpaired-resamples-are-shared',
        _SEEN,
        'first, second = (_drawn(statistic, *x, resamples, rng) '
        'for x in (a, b))',
        'first, second = (\n'
        '        _drawn(statistic, *x, resamples, np.random.default_rng(0))\n'
        '        for x in (b, b)\n'
        '    )',
        'The interval is that of one kind of clients.',
        ('tests/seen_types_test.py',),
    ),
    Mutation(
        'scores-of-an-epoch-before-the-last',
        _SEEN,
        'last = summary.last_epoch(run.rows)',
        'last = 1',
        'The gain is that of the first epoch.',
        ('tests/seen_types_test.py',),
    ),
    # --- Transfer, task types -----------------------------------------------
    Mutation(
        'transfer-is-transposed',
        _TRANSFER,
        "at = place[line['client']], place[owner[example]]",
        "at = place[owner[example]], place[line['client']]",
        'Rows are examples and columns prompts.',
        (
            _MATRIX + 'test_a_cell_is_what_a_prompt_gains_on_the_examples_of_a'
            '_client',
        ),
    ),
    Mutation(
        'transfer-is-no-gain',
        _TRANSFER,
        'math.nan if after is None else after - before',
        'math.nan if after is None else after',
        'Easy clients seem to be served best.',
        (
            _MATRIX + 'test_a_cell_is_what_a_prompt_gains_on_the_examples_of_a'
            '_client',
        ),
    ),
    Mutation(
        'kept-within-a-type-has-the-client-itself',
        _TRANSFER,
        'mean(itself), mean(same & ~itself), mean(~same)',
        'mean(itself), mean(same), mean(~same)',
        'A type of one client seems to share what it learns.',
        (_MATRIX + 'test_what_is_kept_is_a_mean_over_other_clients',),
    ),
    Mutation(
        'transfer-to-an-official-split',
        _TRANSFER,
        'if not all(answers.example_of(line) in owner for line in common):',
        'common = [x for x in common if answers.example_of(x) in owner]\n'
        '    if not common:',
        'Some of the examples of an official split are left out unsaid.',
        (
            _MATRIX + 'test_without_a_common_set_of_the_clients_there_is_no_ma'
            'trix',
        ),
    ),
    Mutation(
        'heat-map-whose-white-is-no-0',
        _HEAT_MAP,
        'vmin=-most, vmax=most',
        'vmax=most',
        'A loss looks like a gain.',
        (
            _MATRIX + 'test_the_figure_is_the_matrix_with_lines_between_types',
        ),
    ),
    Mutation(
        'types-of-the-wrong-metric',
        _TYPES,
        "return 'exact_match' if task_type.casefold() in listed else 'rouge_l'",
        "return 'rouge_l' if task_type.casefold() in listed else 'exact_match'",
        'Scores by type are not those of the benchmark.',
        (_MATRIX + 'test_each_type_has_the_metric_of_the_benchmark',),
    ),
    Mutation(
        'types-before-and-after-swapped',
        _TYPES,
        'cells += [_mean(before), _mean(after)]',
        'cells += [_mean(after), _mean(before)]',
        'The global prompt has the scores of the personalized ones.',
        (_MATRIX + 'test_each_type_has_the_metric_of_the_benchmark',),
    ),
    Mutation(
        'final-answers-of-the-first-epoch',
        _ANSWERS,
        "if line['epoch'] > last:",
        "if not last:",
        'Tables are of prompts that were trained further since.',
        (
            _MATRIX + 'test_a_cell_is_what_a_prompt_gains_on_the_examples_of_a'
            '_client',
            _MATRIX + 'test_a_run_leaves_what_both_are_made_of',
        ),
    ),
    Mutation(
        'genie-of-a-dead-client',
        _GENIE,
        'dropped = any(line[metric] is None for line in own[key])',
        'dropped = False',
        'The report of a run with a dropped client cannot be written.',
        (
            'tests/genie_test.py::'
            'test_a_client_whose_prompt_is_not_finite_is_dropped',
        ),
    ),
)  # fmt: skip
