"""Laws of the router: of two answers one, chosen without a reference."""

import dataclasses
import json
import math
import types
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax import personalization
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.evaluation import routing
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.routing import Comparison, Ends
from fedprompt_jax.evaluation.scoring import Evaluator, Request, Scores
from fedprompt_jax.experiment import personalize
from fedprompt_jax.models import source
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.idpg import IDPG
from fedprompt_jax.peft.prompt import Prompt
from fedprompt_jax.personalization import router
from fedprompt_jax.report import genie
from fedprompt_jax.report.run import Run
from tests import plain, recorders, tiny_families
from tests.conftest import make_task
from tests.tiny_run import Runs

OWNERS, NEW = 2, 3
RULES = ('query', 'answer')
SCORES = ('rouge_l', 'exact_match', 'loss', 'output_tokens')
# Each owner has both stores' instances; instance 12 has options.
REQUESTS = [
    *(Request(i % OWNERS, i) for i in range(14)),
    Request(1, 0),
    Request(0, 13),
]


@pytest.fixture(scope='module')
def mixed(lm, tmp_path_factory):
    """Twelve rivers with free answers, then questions with options."""
    quiz = bare(
        'quiz',
        [
            Instance(f'q{i}', f'what is {i}?', ('the name',), options)
            for i, options in enumerate(
                [('positive', 'the name'), ('the name', 'review', 'not')]
            )
        ],
    )
    return open_store(
        Source('mixed', 'mixed', lambda: [make_task(), quiz]),
        lm.tokenizer,
        Template('{input}', '\n', 64, 16),
        tmp_path_factory.mktemp('store'),
    )


@pytest.fixture(scope='module')
def evaluator(lm, model, mixed):
    generator = Generator(
        model,
        lm.base,
        # Two ends, of which one is a frequent token.
        eos_ids=(*lm.tokenizer.eos_ids, 270),
        max_new_tokens=NEW,
        batch_size=8,
        place_rows=plain.same,
    )
    packer = Packer(plain.P, (Shape(24, 8, (2,)), Shape(40, 16, (3,))))
    return Evaluator(mixed, lm.tokenizer, packer, generator)


@pytest.fixture(scope='module')
def bank():
    return plain.random_bank(np.random.default_rng(0), OWNERS)


@pytest.fixture(scope='module')
def shared():
    """The shared prompt in each place."""
    one = plain.random_bank(np.random.default_rng(7), 1)
    return jax.tree.map(lambda x: jnp.repeat(x, OWNERS, axis=0), one)


@pytest.fixture(scope='module')
def comparison(evaluator, shared):
    ends = Ends(evaluator.generator.eos_ids, NEW)
    return Comparison(evaluator, shared, ends, queries=True)


@pytest.fixture(scope='module')
def pair(comparison, bank):
    return comparison.pair(bank, REQUESTS)


def log_p(evaluator, params, tokens) -> np.ndarray:
    """log p of each token behind the prompt and the tokens before it."""
    model, base = evaluator.generator.model, evaluator.generator.base
    padded = np.zeros(96, np.int32)  # behind the causal mask
    padded[: len(tokens)] = tokens
    logits = plain.logits(model, base, params, padded)
    rows = np.asarray(jax.nn.log_softmax(logits))[plain.P - 1 :]
    return np.array([rows[i, t] for i, t in enumerate(tokens)])


def one(bank, owner):
    return jax.tree.map(lambda x: x[owner], bank)


@pytest.mark.parametrize('which', [0, 1])
def test_confidences_are_those_of_a_loop_of_single_calls(
    evaluator, pair, bank, shared, which
):
    store, ended = evaluator.store, 0
    scores, found = pair.scores[which], pair.confidence[which]
    for i, (owner, instance) in enumerate(REQUESTS):
        params = one((bank, shared)[which], owner)
        query = store.query(instance)
        of_query = log_p(evaluator, params, query)
        # The first token has nothing before it in a packed row.
        assert found.query[i] == pytest.approx(of_query[1:].mean(), rel=1e-5)
        if instance >= 12:
            options = store.record(instance)['choices']
            k = options.index(scores.predictions[i])
            answers = [store.choices(instance)[k]]
        else:
            output = scores.outputs[i]
            short = len(output) < NEW
            ends = evaluator.generator.eos_ids if short else ()
            answers = [[*output, end] for end in ends] or [output]
            ended += short
        expected = max(
            log_p(evaluator, params, [*query, *a])[len(query) :].mean()
            for a in answers
        )
        assert found.answer[i] == pytest.approx(expected, rel=1e-5)
    assert 0 < ended < 14  # answers with an end, and answers without


@pytest.mark.parametrize('rule', RULES)
def test_every_score_is_that_of_the_prompt_that_was_taken(
    comparison, pair, bank, rule
):
    middle = float(np.median(pair.difference(rule)))
    routed = comparison.by(rule, middle).score(bank, REQUESTS)
    own = pair.takes_own(rule, middle)
    assert 0 < own.sum() < len(REQUESTS)
    for i, takes in enumerate(own):
        of = pair.scores[0 if takes else 1]
        for name in SCORES:
            assert getattr(routed, name)[i] == getattr(of, name)[i]
        assert routed.predictions[i] == of.predictions[i]
        assert routed.notes[i]['routing']['taken'] == (
            'personalized' if takes else 'global'
        )


def test_the_more_confident_prompt_answers(pair):
    confidence = (
        routing.Confidence(np.array([-1.0, -2, -3]), np.array([-3.0, -2, -1])),
        routing.Confidence(np.array([-2.0, -2, -2]), np.array([-2.0, -2, -2])),
    )
    of = tuple(s._replace(rouge_l=np.zeros(3)) for s in pair.scores)
    made = routing.Pair(of, confidence)
    assert made.takes_own('query', 0.0).tolist() == [True, False, False]
    assert made.takes_own('answer', 0.0).tolist() == [False, False, True]
    assert made.takes_own('answer', -0.5).tolist() == [False, True, True]


@pytest.mark.parametrize('rule', RULES)
def test_its_limits_are_the_two_prompts_to_the_bit(
    evaluator, comparison, bank, shared, rule
):
    """The scores that the run has of both prompts, computed as always."""
    own = evaluator.score(bank, REQUESTS)
    same = list(dict.fromkeys(Request(0, r.instance) for r in REQUESTS))
    of_shared = evaluator.score(shared, same)
    at = [same.index(Request(0, r.instance)) for r in REQUESTS]
    for threshold, expected, places in (
        (-math.inf, own, range(len(REQUESTS))),
        (math.inf, of_shared, at),
    ):
        found = comparison.by(rule, threshold).score(bank, REQUESTS)
        for name in SCORES:
            np.testing.assert_array_equal(
                getattr(found, name), getattr(expected, name)[list(places)]
            )
        texts = [expected.predictions[i] for i in places]
        assert found.predictions == texts


def test_equal_prompts_go_to_the_shared_one(evaluator, shared):
    ends = Ends(evaluator.generator.eos_ids, NEW)
    same = Comparison(evaluator, shared, ends, queries=True)
    pair = same.pair(shared, [Request(0, i) for i in range(4)])
    for rule in RULES:
        np.testing.assert_array_equal(pair.difference(rule), 0)
        assert not pair.takes_own(rule, 0.0).any()


def test_the_rules_share_the_work(evaluator, shared, bank):
    calls = []

    class Counting:
        store = evaluator.store

        def score(self, bank, requests, progress=''):
            calls.append('score')
            return evaluator.score(bank, requests, progress)

        def token_losses(self, bank, examples):
            calls.append('losses')
            return evaluator.token_losses(bank, examples)

    ends = Ends(evaluator.generator.eos_ids, NEW)
    compared = Comparison(Counting(), shared, ends, queries=True)
    for rule in RULES:
        compared.by(rule, 0.0).score(bank, REQUESTS[:3])
    assert sorted(calls) == ['losses'] * 2 + ['score'] * 2
    # Other requests, and another bank, are other work.
    compared.by('answer', 0.0).score(bank, REQUESTS[:2])
    other = jax.tree.map(lambda x: x + 1, bank)
    compared.by('answer', 0.0).score(other, REQUESTS[:2])
    assert len(calls) == 12


def test_without_the_query_answers_have_the_same_confidence(
    evaluator, pair, bank, shared
):
    """Read behind the query as every target is."""
    ends = Ends(evaluator.generator.eos_ids, NEW)
    alone = Comparison(evaluator, shared, ends, queries=False)
    found = alone.pair(bank, REQUESTS)
    for a, b in zip(found.confidence, pair.confidence, strict=True):
        np.testing.assert_allclose(a.answer, b.answer, rtol=1e-5)
        assert np.isnan(a.query).all()


def test_a_prompt_that_is_not_finite_drops_its_client_alone(
    comparison, pair, bank
):
    broken = jax.tree.map(lambda x: x.at[1, 0, 0].set(jnp.nan), bank)
    found = comparison.by('answer', 0.0).score(broken, REQUESTS)
    dead = np.array([r.owner == 1 for r in REQUESTS])
    assert np.isnan(found.rouge_l[dead]).all()
    alive = comparison.by('answer', 0.0).score(bank, REQUESTS)
    np.testing.assert_array_equal(found.rouge_l[~dead], alive.rouge_l[~dead])


def test_what_a_threshold_is_fitted_from_is_noted(comparison, pair, bank):
    found = comparison.by('answer', 0.0).score(bank, REQUESTS)
    for i, note in enumerate(found.notes):
        for k, name in enumerate(('personalized', 'global')):
            assert note['routing'][name] == {
                'query_log_p': pair.confidence[k].query[i],
                'answer_log_p': pair.confidence[k].answer[i],
                'rouge_l': pair.scores[k].rouge_l[i],
                'exact_match': pair.scores[k].exact_match[i],
            }


class Fixed:
    """An evaluator whose answers and losses are given: a constructed case.

    The owner's prompt answers even instances right, the shared one odd ones.
    """

    def __init__(self, store) -> None:
        self.store = store

    def score(self, bank, requests, progress=''):
        own = float(bank['prompt'].sum()) > 0
        right = [(r.instance % 2 == 0) == own for r in requests]
        scores, n = np.array(right, float), len(requests)
        outputs = [np.array([5 + int(own)])] * n
        zeros = np.zeros(n)
        return Scores(
            ['x'] * n, scores, scores, zeros, zeros, zeros,
            [np.zeros(0)] * n, outputs,
        )  # fmt: skip

    def token_losses(self, bank, examples):
        """The right prompt is surer, but for instances 0 and 1."""
        own, found = float(bank['prompt'].sum()) > 0, []
        for e in examples:
            (i,) = [
                i for i in range(6)
                if np.array_equal(self.store.query(i)[:1], e.query)
                and np.array_equal(
                    self.store.query(i)[1:],
                    e.target[: len(self.store.query(i)) - 1],
                )
                and len(e.target) == len(self.store.query(i)) + 1
            ]  # fmt: skip
            sure = ((i % 2 == 0) == own) != (i < 2)
            found.append(np.full(len(e.target), 0.1 if sure else 2.0))
        return found


@pytest.mark.parametrize('rule', RULES)
def test_the_router_lies_between_the_worst_and_the_genie(store, rule):
    """Of six examples, either prompt has three, the router four."""
    ones, zeros = ({'prompt': f((1, 1, 1))} for f in (jnp.ones, jnp.zeros))
    compared = Comparison(Fixed(store), zeros, Ends((9,), 4), queries=True)
    found = compared.by(rule, 0.0).score(
        ones, [Request(0, i) for i in range(6)]
    )
    assert found.rouge_l.tolist() == [0, 0, 1, 1, 1, 1]


class Sure(NamedTuple):
    """An evaluator whose answers are the targets."""

    evaluator: Evaluator

    @property
    def store(self):
        return self.evaluator.store

    def score(self, bank, requests, progress=''):
        loss, of_choices = self.evaluator.losses(bank, requests)
        n, ones = len(requests), np.ones(len(requests))
        outputs = [self.store.target(r.instance)[:-1] for r in requests]
        texts = [self.store.record(r.instance)['outputs'][0] for r in requests]
        return Scores(
            texts, ones, ones, loss, ones, np.full(n, 1), of_choices, outputs
        )

    def token_losses(self, bank, examples):
        return self.evaluator.token_losses(bank, examples)


@pytest.mark.parametrize(
    ('family', 'objective'), [('t5', 'seq2seq_lm'), ('roberta', 'masked_lm')]
)
def test_other_models_have_the_confidence_of_their_answers(
    family, objective, tmp_path, bank, shared
):
    """T5's is that of the target, RoBERTa's that of the chosen word."""
    folder = tiny_families.make_checkpoint(tmp_path / family, family)
    lm = source.load(folder, jnp.float32)
    masked = objective == 'masked_lm'
    quiz = [
        Instance(f'q{i}', f'is it {i}?', ('a',), ('a', 'b')) for i in range(3)
    ]
    store = open_store(
        Source('s', 's', lambda: [bare('s', quiz) if masked else make_task()]),
        lm.tokenizer,
        Template('{input} {mask}' if masked else '{input}', '', 64, 16),
        tmp_path / 'store',
        objective,
    )
    generator = Generator(
        TunedModel(Transformer(lm.config), Prompt(plain.P)),
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=16,
        batch_size=8,
        place_rows=plain.same,
    )
    packer = generator.model.packer(Shape(48, 16, (3,)))
    evaluator = Evaluator(store, lm.tokenizer, packer, generator)
    compared = Comparison(
        Sure(evaluator), shared, Ends(lm.tokenizer.eos_ids, 16), queries=False
    )
    requests = [Request(i % 2, i) for i in range(3)]
    own, of_shared = compared.pair(bank, requests).confidence
    for found, prompts in ((own, bank), (of_shared, shared)):
        losses, of_choices = evaluator.losses(prompts, requests)
        for i, r in enumerate(requests):
            total = of_choices[i][0] if masked else losses[i]
            tokens = len(store.target(r.instance))
            expected = -total / tokens
            assert found.answer[i] == pytest.approx(expected, rel=1e-5)
    assert not np.allclose(own.answer, of_shared.answer)
    assert np.isnan(own.query).all()


def test_long_answers_and_queries_find_room(evaluator, bank):
    """Longer than the rows that were chosen for targets alone."""
    rng = np.random.default_rng(3)
    made = [
        Example(c, *(rng.integers(5, 290, n).astype(np.int32) for n in (1, t)))
        for c, t in ((0, 70), (1, 30), (0, 3))
    ]
    found = evaluator.token_losses(bank, made)
    for e, losses in zip(made, found, strict=True):
        expected = log_p(evaluator, one(bank, e.owner), [*e.query, *e.target])
        np.testing.assert_allclose(losses, -expected[1:], rtol=1e-4, atol=1e-5)


# --- The method ---------------------------------------------------------


def refused(**changes):
    config = fedavg_adam.get_config()
    config.personalization.method = 'router'
    config.personalization.router.update(changes)
    return list(personalization.faults(config))


def test_its_settings_are_checked():
    assert refused() == []
    assert refused(answer_threshold=-math.inf, rules=('answer',)) == []
    for rules in ((), ('query', 'query'), ('answers',)):
        (fault,) = refused(rules=rules)
        assert f'config.personalization.router.rules={rules!r}' in fault
        assert "such as '('query', 'answer')'" in fault
    (fault,) = refused(query_threshold=math.nan)
    assert 'router.query_threshold=nan must be a number' in fault


def model_faults(lm, kind, peft='prompt', rules=RULES, **changes):
    config = fedavg_adam.get_config()
    config.personalization.method, config.peft = 'router', peft
    config.personalization.router.rules = rules
    model = dataclasses.replace(lm.config, **changes)
    return list(personalization.model_faults(config, model, kind))


def test_a_model_without_a_likelihood_of_the_query_is_refused(lm):
    kind = Prompt(3)
    assert model_faults(lm, kind) == []
    reads = IDPG.__new__(IDPG)
    for why, found in (
        ('masked', model_faults(lm, kind, causal=False)),
        ('encoder', model_faults(lm, kind, encoder=lm.config)),
        ("config.peft='idpg'", model_faults(lm, reads, peft='idpg')),
    ):
        (fault,) = found
        assert 'config.personalization.router.rules=' in fault
        assert why in fault and "use '('answer',)'" in fault
    for changes in ({'causal': False}, {'encoder': lm.config}):
        assert model_faults(lm, kind, rules=('answer',), **changes) == []


def test_each_rule_has_its_threshold():
    config = fedavg_adam.get_config()
    config.personalization.update(
        {'method': 'router', 'alphas': (0.5,), 'router': {
            'query_threshold': -1.5, 'answer_threshold': 0.25,
        }}
    )  # fmt: skip
    params = {'prompt': jnp.ones((2, 3))}
    setup = personalization.Setup(config, recorders.Simulation(), 2)
    method = router.make(setup)
    answers = method.last_answers(method.init(params), params)
    found = {a.label: a.route and a.route.threshold for a in answers}
    assert found == {
        'averaged': None, 'routed_by_query': -1.5, 'routed_by_answer': 0.25,
    }  # fmt: skip
    assert all(a.route.params is params for a in answers if a.route)


def test_a_run_compares_with_the_global_prompt_in_every_place(lm):
    config = fedavg_adam.get_config()
    config.evaluation.max_new_tokens = 7
    held_out = types.SimpleNamespace(names=['', '', ''])
    experiment: Any = types.SimpleNamespace(
        config=config,
        lm=lm,
        evaluator='the evaluator',
        data=types.SimpleNamespace(held_out=held_out),
    )
    params = {'prompt': jnp.arange(6.0).reshape(2, 3)}
    route = personalization.Route(params, 'answer', 0.0, queries=False)
    found = personalize.compare(experiment, route)
    np.testing.assert_array_equal(
        found.shared['prompt'], [params['prompt']] * 3
    )
    assert found.ends == Ends(tuple(lm.tokenizer.eos_ids), 7)
    assert (found.evaluator, found.queries) == ('the evaluator', False)


SHORT = {
    'personalization__method': 'router',
    'personalization__epochs': 3,
    'personalization__learning_rate': 1.0,
}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A whole run of a tiny model."""
    folder = tmp_path_factory.mktemp('runs')
    Runs(folder).start(folder / 'run', **SHORT)
    return Run(folder / 'run')


def last_of(run, prompt):
    rows = [r for r in run.rows if r['prompt'] == prompt]
    last = max(r['epoch'] for r in rows)
    return {
        (r['client'], r['split']): r['rouge_l']
        for r in rows
        if r['epoch'] == last
    }


def test_a_run_has_the_answers_of_both_rules_after_its_last_epoch(run):
    best = {
        (r['client'], r['split']): r['rouge_l']
        for r in genie.rows(run.folder, run.rows, 'rouge_l')
    }
    for rule in RULES:
        label = f'routed_by_{rule}'
        rows = [r for r in run.rows if r['prompt'] == label]
        assert {r['epoch'] for r in rows} == {3}
        assert all(math.isnan(r['alpha']) for r in rows)
        for key, score in last_of(run, label).items():
            assert score <= best[key] + 1e-9
    text = (run.folder / 'predictions.jsonl').read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    alone = {}
    for line in lines:
        if line['prompt'] == 'global':
            alone[line['id']] = line
        elif (line['prompt'], line['epoch']) == ('personalized', 3):
            alone[line['id'], line['client']] = line
    routed = [x for x in lines if x['prompt'].startswith('routed')]
    # Of each client 4 examples of its own, and 2 of the other's.
    assert len(routed) == 2 * 2 * (4 + 2)
    for line in routed:
        both = {
            'personalized': alone[line['id'], line['client']],
            'global': alone[line['id']],
        }
        taken = both[line['routing']['taken']]
        for name in ('prediction', 'rouge_l', 'loss', 'output_tokens'):
            assert line[name] == taken[name]
        for name, of in both.items():
            assert line['routing'][name]['rouge_l'] == of['rouge_l']
        assert line['type'].startswith('Type ')


def test_a_model_that_cannot_route_by_query_is_refused_before_its_data(
    tmp_path,
):
    """As a run is started: T5."""
    runs = Runs(tmp_path)
    folder = tiny_families.make_checkpoint(tmp_path / 't5', 't5')
    with pytest.raises(ValueError, match="has 'query', and an encoder reads"):
        runs.start(
            tmp_path / 'run',
            model__source=str(folder),
            data__path=str(tmp_path / 'data'),
            **SHORT,
        )
