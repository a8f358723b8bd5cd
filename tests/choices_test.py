"""Choices are scored as a plain loop of the model and lm-eval score them."""

import jax
import numpy as np
import pytest

from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.evaluation import choices
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.scoring import Evaluator, Request
from fedprompt_jax.evaluation.text_scores import rouge_l
from tests import plain
from tests.conftest import make_task

OWNERS = 2
# Of one token or a token a character, so that the rules differ.
OPTIONS = ('question', 'zq', 'the passage', 'xkz', 'positive')


def _task():
    """Twelve instances whose right answer is each option in turn."""
    instances = []
    for i in range(12):
        options = (OPTIONS * 2)[i % 5 : i % 5 + 2 + i % 3]
        right = options[i % len(options)]
        text = f'what is the name of {i}?' + ' the passage' * (i % 3)
        instances.append(Instance(f'q{i}', text, (right,), options))
    return bare('quiz', instances)


@pytest.fixture(scope='module')
def mixed(lm, tmp_path_factory):
    """A store of instances with choices between some without."""
    tasks = [make_task(count=5), _task(), make_task('task2_lakes', 4)]
    return open_store(
        Source('mixed', 'mixed', lambda: tasks),
        lm.tokenizer,
        Template('Question: {input}', '\nAnswer:', 64, 16, ' {output}'),
        tmp_path_factory.mktemp('store'),
    )


REQUESTS = [Request(i % OWNERS, i) for i in range(21)]


@pytest.fixture(scope='module')
def evaluator(lm, model, mixed):
    generator = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=4,
        batch_size=8,
        place_rows=plain.same,
    )
    packer = Packer(plain.P, (Shape(64, 24, (3,)),))
    return Evaluator(mixed, lm.tokenizer, packer, generator)


@pytest.fixture(scope='module')
def bank():
    return plain.random_bank(np.random.default_rng(0), OWNERS)


@pytest.fixture(scope='module')
def scored(evaluator, bank):
    return {
        rule: evaluator._replace(choices=rule).score(bank, REQUESTS)
        for rule in choices.RULES
    }


@pytest.fixture(scope='module')
def log_p(lm, model):
    """(params, context, continuation) -> log p of the continuation's tokens."""

    @jax.jit
    def rows(params, tokens):
        return jax.nn.log_softmax(plain.logits(model, lm.base, params, tokens))

    def of(params, context, continuation):
        tokens = np.zeros(96, np.int32)  # padded behind the causal mask
        both = [*context, *continuation]
        tokens[: len(both)] = both
        start = plain.P + len(context) - 1
        found = np.asarray(rows(params, tokens))[start:]
        return sum(found[j, t] for j, t in enumerate(continuation))

    return of


def lm_eval(log_p, tokenizer, params, doc, rule):
    """lm-eval's multiple choice, from its texts: acc and acc_norm.

    The continuation is ' ' + choice, its tokens those behind the context's;
    acc_norm divides by the characters of the choice, without the space.
    """
    context = f'Question: {doc["input"]}\nAnswer:'
    scores = []
    for choice in doc['choices']:
        (whole,) = tokenizer.encode_batch([f'{context} {choice}'], True)
        (before,) = tokenizer.encode_batch([context], True)
        assert whole[: len(before)] == before
        scores.append(log_p(params, before, whole[len(before) :]))
    if rule == 'character':
        scores = [
            s / len(c) for s, c in zip(scores, doc['choices'], strict=True)
        ]
    return doc['choices'][max(range(len(scores)), key=scores.__getitem__)]


def chosen_requests(store):
    return [
        (i, r) for i, r in enumerate(REQUESTS) if store.num_choices[r.instance]
    ]


@pytest.mark.parametrize('rule', ['sum', 'character'])
def test_the_prediction_is_lm_eval_s(rule, evaluator, scored, bank, log_p):
    store, found = evaluator.store, scored[rule]
    places = chosen_requests(store)
    assert len(places) == 12
    for i, request in places:
        params = jax.tree.map(lambda x, r=request: x[r.owner], bank)
        doc = store.record(request.instance)
        tokenizer = evaluator.tokenizer
        expected = lm_eval(log_p, tokenizer, params, doc, rule)
        assert found.predictions[i] == expected
        right = expected == doc['outputs'][0]
        assert found.exact_match[i] == right
        assert found.rouge_l[i] == rouge_l(expected, doc['outputs'])
    assert len({found.exact_match[i] for i, _ in places}) == 2


def test_each_choice_s_loss_is_that_of_a_plain_loop(
    evaluator, scored, bank, log_p
):
    store, found = evaluator.store, scored['token']
    for i, request in chosen_requests(store):
        params = jax.tree.map(lambda x, r=request: x[r.owner], bank)
        query = store.query(request.instance)
        texts = store.record(request.instance)['choices']
        means = []
        for k, text in enumerate(texts):
            (tokens,) = evaluator.tokenizer.encode_batch([f' {text}'], False)
            total = -log_p(params, query, tokens)
            assert found.choice_losses[i][k] == pytest.approx(total, rel=1e-5)
            means.append(total / len(tokens))
        least = int(np.argmin(means))
        assert found.predictions[i] == texts[least]
        tokens = store.choices(request.instance)[least]
        assert found.output_tokens[i] == len(tokens)
        target = [*store.target(request.instance)]
        assert target[-1] == evaluator.tokenizer.eos_id  # of the loss alone
        total = -log_p(params, query, target)
        assert found.loss[i] == pytest.approx(total, rel=1e-5)


def test_the_rules_differ_on_such_data(scored):
    assert len({tuple(s.predictions) for s in scored.values()}) == 3


def test_what_has_no_choices_is_generated_as_ever(evaluator, scored, bank):
    places = [
        i
        for i, r in enumerate(REQUESTS)
        if not evaluator.store.num_choices[r.instance]
    ]
    alone = evaluator.score(bank, [REQUESTS[i] for i in places])
    for rule in choices.RULES:
        for j, i in enumerate(places):
            assert scored[rule].predictions[i] == alone.predictions[j]
            assert scored[rule].exact_match[i] == alone.exact_match[j]
            assert len(scored[rule].choice_losses[i]) == 0


def test_choices_alone_generate_nothing(evaluator, scored, bank):
    def refuse(*args):
        raise AssertionError('generated')

    places = chosen_requests(evaluator.store)
    generator = type('', (), {'__call__': refuse})()
    generator.__dict__ |= evaluator.generator.__dict__
    alone = evaluator._replace(generator=generator)
    found = alone.score(bank, [r for _, r in places])
    expected = [scored['sum'].predictions[i] for i, _ in places]
    assert found.predictions == expected


def test_a_non_finite_owner_has_no_score(evaluator, scored, bank):
    broken = jax.tree.map(lambda x: x.at[1, 0, 0].set(np.nan), bank)
    found = evaluator.score(broken, REQUESTS)
    dead = np.array([r.owner == 1 for r in REQUESTS])
    assert np.isnan(found.exact_match[dead]).all()
    ours, theirs = found.exact_match[~dead], scored['sum'].exact_match[~dead]
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ('rule', 'best'), [('sum', 0), ('character', 2), ('token', 1)]
)
def test_the_likeliest_by_hand(rule, best):
    # Per character 1, 2, 1/2; per token 3, 2, 8/3.
    losses, texts, tokens = [3, 4, 8], ['abc', 'ab', 'a' * 16], [1, 2, 3]
    assert choices.likeliest(losses, texts, tokens, rule) == best


@pytest.mark.parametrize('letters', ['éé', '川名', 'Ωω', '🏞🏔'])
def test_a_choice_has_as_many_characters_as_letters_however_many_bytes(letters):
    """Per character 1.1 and 1; per byte of UTF-8 the first would be less."""
    texts, losses = [letters, 'abc'], [2.2, 3.0]
    assert choices.likeliest(losses, texts, [2, 3], 'character') == 1
    assert (
        choices.likeliest(losses[::-1], texts[::-1], [3, 2], 'character') == 0
    )


@pytest.mark.parametrize(
    ('rule', 'best'), [('character', 1), ('byte', 0), ('sum', 0), ('token', 0)]
)
def test_bytes_are_more_than_characters(rule, best):
    """'川名' has 1.1 a character and 0.37 a byte; 'abc' has 1 of both."""
    losses, texts = [2.2, 3.0], ['川名', 'abc']
    assert choices.likeliest(losses, texts, [2, 2], rule) == best


def in_lm_eval(log_p, texts, rule):
    """process_results of lm-eval 0.4.13 (api/task.py), line by line.

    `lls` are log p, the larger the better; an empty choice divides by zero
    there, which makes it the worst.
    """
    completion_len = np.array([float(len(i)) for i in texts])
    byte_length = np.array([float(len(i.encode('utf-8'))) for i in texts])
    lls = np.array(log_p)
    with np.errstate(divide='ignore'):
        return {
            'sum': lambda: np.argmax(lls),
            'character': lambda: np.argmax(lls / completion_len),
            'byte': lambda: np.argmax(lls / byte_length),
        }[rule]()


@pytest.mark.parametrize('rule', ['sum', 'character', 'byte'])
def test_random_choices_are_chosen_by_lm_eval_s_formula(rule):
    """Ties too: the losses are few and round numbers."""
    rng, alphabet, chosen = np.random.default_rng(0), 'aé川🏞', set()
    for _ in range(300):
        k = int(rng.integers(1, 6))
        texts = [
            ''.join(rng.choice([*alphabet], rng.integers(1, 5)))
            for _ in range(k)
        ]
        losses = rng.integers(1, 5, k).astype(float)
        found = choices.likeliest(losses, texts, [1] * k, rule)
        assert found == in_lm_eval(-losses, texts, rule)
        chosen.add(found)
    assert chosen == {0, 1, 2, 3, 4}


@pytest.mark.parametrize('rule', choices.RULES)
def test_an_empty_choice_divides_nothing_by_zero(rule):
    """lm-eval never chooses it by acc_norm; by acc it may be the likeliest."""
    found = choices.likeliest([5.0, 1.0], ['', 'ab'], [1, 1], rule)
    assert found == 1
    if rule in ('character', 'byte'):
        assert found == in_lm_eval([-5.0, -1.0], ['', 'ab'], rule)


def test_of_equals_the_first_is_chosen():
    for rule in choices.RULES:
        assert choices.likeliest([2, 1, 1], 'abc', [1, 1, 1], rule) == 1


def test_right_is_to_the_letter(lm, model, bank, evaluator, tmp_path):
    """SNI's exact match takes 'C#' for 'c'; a choice is right or wrong."""
    for wrong, right in (('C#', 'c'), ('c', 'C#')):
        task = bare('code', [Instance('1', 'q', (right,), (wrong, right))])
        store = open_store(
            Source('code', right, lambda t=task: [t]),
            lm.tokenizer,
            Template('{input}', ' ', 64, 16),
            tmp_path,
        )
        found = evaluator._replace(store=store).score(bank, [Request(0, 0)])
        assert found.exact_match[0] == (found.predictions[0] == right)


def test_the_largest_token_may_be_in_a_choice(lm, tmp_path):
    task = bare('quiz', [Instance('1', 'zq', ('zq',), ('zq', 'positive'))])
    store = open_store(
        Source('quiz', 'quiz', lambda: [task]),
        lm.tokenizer,
        Template('{input}', '\n', 64, 16),
        tmp_path,
    )
    largest = max(store.choices(0)[1])
    assert largest > max([*store.query(0), *store.target(0)])
    assert store.largest_token == largest


def test_the_example_of_an_instance_has_all_that_is_scored(mixed):
    (i,) = [i for i in range(len(mixed)) if mixed.record(i)['id'] == 'q2']
    (example,) = choices.examples(mixed, 1, i)
    assert example.owner == 1
    kept = [list(t) for t in example.targets]
    for target in choices.asked(mixed, i):
        assert any(t[: len(target)] == list(target) for t in kept)
    right = list(mixed.target(i))[:-1]  # without its end it is a choice
    assert right not in kept and right in [*map(list, mixed.choices(i))]
    # A row with room for one target a time reads the query again.
    alone = choices.examples(mixed, 1, i, lambda example: False)
    assert [list(e.target) for e in alone] == kept
    assert not any(e.more for e in alone)
