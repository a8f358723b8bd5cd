"""Laws of routers that are fitted on validation clients, from records."""

import json
import math

import numpy as np
import pytest

from fedprompt_jax.report.run import Run
from fedprompt_jax.study import routing, table
from fedprompt_jax.study.outputs import Result
from fedprompt_jax.study.routing import Examples, Fitted

RULES = tuple(routing.RULES)


def made(seed=0, clients=4, n=40, noise=1.0) -> Examples:
    """Examples whose differences follow what the prompts are worth."""
    rng = np.random.default_rng(seed)
    own, shared = rng.uniform(0, 100, (2, n))
    worth = (own - shared) / 100
    splits = np.ones((n, 2), bool)
    splits[::3, 0], splits[1::3, 1] = False, False
    return Examples(
        np.arange(n) % clients,
        splits,
        worth + noise * rng.normal(0, 0.3, n) + 0.2,
        worth + noise * rng.normal(0, 0.6, n) - 0.4,
        own,
        shared,
        np.arange(clients) % 2,
    )


def mean_score(examples: Examples, weight: float, threshold: float) -> float:
    """By a plain loop: mean over clients of (local + global) / 2."""
    means = []
    for c in range(len(examples.seeds)):
        for s in range(2):
            scores = []
            for i in range(len(examples.client)):
                if examples.client[i] == c and examples.splits[i, s]:
                    d = weight * examples.query[i]
                    d += (1 - weight) * examples.answer[i]
                    of = examples.own if d > threshold else examples.shared
                    scores.append(of[i])
            means.append(np.mean(scores))
    return float(np.mean(means))


@pytest.mark.parametrize('rule', RULES)
def test_no_threshold_of_a_fine_grid_is_better(rule):
    examples = made()
    found = routing.fit(examples, rule)
    assert found.score == pytest.approx(
        mean_score(examples, found.weight, found.threshold)
    )
    for weight in routing.RULES[rule]:
        for threshold in (*np.linspace(-3, 3, 61), -math.inf, math.inf):
            score = mean_score(examples, weight, threshold)
            assert score <= found.score + 1e-9


def test_a_sum_of_both_is_no_worse_than_each_where_it_is_fitted():
    examples = made(3)
    query, answer, both = (routing.fit(examples, r).score for r in RULES)
    assert both >= max(query, answer)
    assert query != answer


def test_of_equal_thresholds_the_one_nearest_to_0():
    """All prompts are worth the same: nothing is routed away from 0."""
    examples = made()._replace(own=np.full(40, 7.0), shared=np.full(40, 7.0))
    for rule in RULES:
        assert routing.fit(examples, rule).threshold == 0
    # And where all personalized answers are better, it is -inf or below all.
    better = made()._replace(own=np.full(40, 9.0), shared=np.full(40, 7.0))
    for rule in RULES:
        fitted = routing.fit(better, rule)
        routed = better.difference(fitted.weight) > fitted.threshold
        assert routed.all() and fitted.score == pytest.approx(9)


def test_an_unknown_difference_is_0():
    examples = made()
    examples.query[:] = math.nan
    np.testing.assert_array_equal(examples.difference(1.0), 0)
    np.testing.assert_array_equal(examples.difference(0.0), examples.answer)


def test_scores_of_the_prompts_the_router_and_the_genie_by_hand():
    """One client: local examples 0 and 1, global ones 1 and 2."""
    examples = Examples(
        np.zeros(3, int),
        np.array([[1, 0], [1, 1], [0, 1]], bool),
        np.array([1.0, -1.0, 1.0]),
        np.full(3, math.nan),
        np.array([80.0, 60.0, 10.0]),
        np.array([20.0, 70.0, 50.0]),
        np.array([0]),
    )
    found = routing.scores(examples, Fitted(1.0, 0.0, math.nan))
    expected = [[45, 60], [70, 35], [75, 40], [75, 60]]
    np.testing.assert_allclose(found, [expected])
    local, common = (
        float(routing.closed(s, 'better')(found)[0])
        for s in ('local', 'global')
    )
    # (75 - 70) / (75 - 70); the genie is the global prompt: no gap.
    assert local == 1 and math.isnan(common)
    of = routing.closed('global', 'personalized')(found)
    assert of[0] == pytest.approx((40 - 35) / (60 - 35))


def line(client, example, own, shared, query, answer, **more):
    return {
        'prompt': 'routed_by_answer',
        'seed': 3,
        'client': client,
        'splits': ['local'] if client == example % 2 else ['global'],
        'rouge_l': own,
        'routing': {
            name: {
                'query_log_p': q,
                'answer_log_p': a,
                'rouge_l': score,
                'exact_match': None if score is None else score / 2,
            }
            for name, q, a, score in (
                ('personalized', query, answer, own),
                ('global', None if query is None else -2.0, -2.0, shared),
            )
        },
    } | more


def run_of(folder, lines):
    folder.mkdir()
    text = ''.join(json.dumps(x) + '\n' for x in lines)
    (folder / 'predictions.jsonl').write_text(text)
    (folder / 'run.json').write_text('{}')
    return Run(folder)


def lines_of(shift=0.0, rng=0):
    rng = np.random.default_rng(rng)
    found = []
    for client in (0, 1):
        for example in range(8):
            own, shared = rng.uniform(0, 1, 2)
            sure = own - shared + shift
            found.append(
                line(client, example, own, shared, -2 + sure, -2 - sure)
            )
    return found


def test_records_become_examples(tmp_path):
    lines = [
        line(4, 0, 0.25, 0.5, -1.0, -1.5),
        line(4, 1, 0.75, 1.0, None, -3.0),
        line(9, 1, None, 0.5, -1.0, -1.0),  # a prompt that is not finite
        line(5, 1, 0.5, 0.5, -1.0, -2.0, splits=['local', 'global']),
        line(4, 0, 0.1, 0.1, 0.0, 0.0, prompt='routed_by_query'),
        line(4, 0, 0.1, 0.1, 0.0, 0.0, prompt='personalized'),
    ]
    runs = [run_of(tmp_path / 'a', lines), run_of(tmp_path / 'b', lines[3:4])]
    found = routing.read(runs, 'exact_match')
    assert found.client.tolist() == [0, 0, 1, 2]
    assert found.seeds.tolist() == [3, 3, 3]
    assert found.splits.tolist() == [[False, True]] * 2 + [[True, True]] * 2
    np.testing.assert_allclose(found.query, [1.0, math.nan, 1.0, 1.0])
    np.testing.assert_allclose(found.answer, [0.5, -1.0, 0.0, 0.0])
    np.testing.assert_allclose(found.own, [12.5, 37.5, 25, 25])
    np.testing.assert_allclose(found.shared, [25, 50, 25, 25])


def test_a_run_without_routed_answers_says_what_it_needs(tmp_path):
    run = run_of(tmp_path / 'a', [])
    with pytest.raises(ValueError, match="personalization.method='router'"):
        routing.read([run], 'rouge_l')


def tabulated(tmp_path, validation, test):
    tmp_path.mkdir(exist_ok=True)
    results = [
        Result(
            split,
            {'split': split},
            run_of(tmp_path / split, lines),
            table.COMPLETE,
        )
        for split, lines in (('validation', validation), ('test', test))
    ]
    return routing.table(
        results, 'level', lambda o: 'high', lambda o: o['split'] != 'test'
    )


def thresholds(cells) -> dict[str, str]:
    header, *body = cells
    at = header.index('threshold')
    return {x[header.index('rule')]: x[at] for x in body}


def test_test_scores_have_no_part_in_the_choice(tmp_path):
    """Other scores and confidences of test clients move no threshold."""
    validation = lines_of(0.7)
    sound = tabulated(tmp_path / 'a', validation, lines_of(0.7, 1))
    poison = tabulated(tmp_path / 'b', validation, lines_of(-5.0, 2))
    assert thresholds(sound) == thresholds(poison)
    assert sound != poison
    other = tabulated(tmp_path / 'c', lines_of(-5.0, 2), lines_of(0.7, 1))
    assert thresholds(other) != thresholds(sound)


def test_a_table_has_the_prompts_the_rules_and_the_genie(tmp_path):
    header, *body = tabulated(tmp_path, lines_of(0.5), lines_of(0.5, 1))
    names = [x[1] for x in body]
    assert names == [
        'global', 'personalized', 'genie', 'query, 0', 'answer, 0',
        'query, fitted', 'answer, fitted', 'both, fitted',
    ]  # fmt: skip
    assert all(len(x) == len(header) for x in body)
    # The query's confidence is exact, but for its shift of 0.5.
    fitted = dict(zip(names, body, strict=True))['query, fitted']
    local = header.index('local: share of the gap to the better prompt')
    assert float(fitted[local].split()[0]) > 0.9


def test_without_a_likelihood_of_the_query_there_is_one_rule(tmp_path):
    blind = [
        line(c, e, 0.2 * c, 0.1 * e, None, -2 + 0.1 * e)
        for c in (0, 1) for e in range(6)
    ]  # fmt: skip
    _, *body = tabulated(tmp_path, blind, blind)
    assert [x[1] for x in body][3:] == ['answer, 0', 'answer, fitted']


def test_a_level_without_both_runs_has_no_numbers():
    results = [Result('v', {}, None, 'not complete')]
    cells = routing.table(results, 'level', lambda o: 'x', lambda o: True)
    assert cells[1][0] == 'x' and set(cells[1][1:]) == {'–'}
