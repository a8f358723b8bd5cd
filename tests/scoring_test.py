"""Scores: by hand where they are words, by plain forward where numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank.grid import grid_losses
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.evaluation import scoring
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.scoring import Evaluator, Request, Scores
from fedprompt_jax.evaluation.text_scores import exact_match, rouge_l
from tests import plain


@pytest.mark.parametrize(
    ('prediction', 'references', 'f1'),
    [
        ('the cat sat', ['the cat sat'], 1.0),
        ('The CAT, sat!', ['the cat sat'], 1.0),
        ('', ['the cat'], 0.0),
        ('dog', ['the cat'], 0.0),
        # Longest common subsequence 2 of 2 and of 4: P = 1, R = 1/2.
        ('the sat', ['the cat sat down'], 2 / 3),
        # Order counts: only one word in common order.
        ('b a', ['a b'], 1 / 2),
        # The stemmer: cats = cat.
        ('cats', ['cat'], 1.0),
        # The best reference counts, wherever it stands.
        ('river', ['lake', 'the river', 'river'], 1.0),
        ('river', ['the river', 'lake'], 2 / 3),
    ],
)
def test_rouge_l_by_hand(prediction, references, f1):
    assert rouge_l(prediction, references) == pytest.approx(f1)


def test_rouge_l_of_another_language_is_over_given_pieces():
    assert rouge_l('川の名前', ['川の名前']) == 0  # why it must be given
    assert rouge_l('川の名前', ['川の名前'], list) == 1
    assert rouge_l('川の', ['川の名前'], list) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ('prediction', 'references', 'match'),
    [
        ('Yes', ['yes'], 1.0),
        (' yes. ', ['no', 'Yes!'], 1.0),
        ('a  b\nc', ['a b c'], 1.0),
        ("don't", ['dont'], 1.0),
        ('yes yes', ['yes'], 0.0),
        ('', ['yes'], 0.0),
        ('cats', ['cat'], 0.0),
    ],
)
def test_exact_match_by_hand(prediction, references, match):
    assert exact_match(prediction, references) == match


def _scores(loss, tokens):
    n = len(loss)
    zeros = np.zeros(n)
    return Scores([''] * n, zeros, zeros, np.array(loss), np.array(tokens), 0)


@pytest.mark.parametrize(
    ('loss', 'mean'),
    # Of 4 nats over 2 tokens and 3 nats over 6.
    [('sequence', 3.5), ('example', 1.25), ('token', 7 / 8)],
)
def test_mean_loss_averages_as_the_convention_says(loss, mean):
    scores = _scores([4.0, 99.0, 3.0], [2, 1, 6])
    assert scoring.mean_loss(scores, np.array([0, 2]), loss) == mean
    mask = np.array([True, False, True])
    assert scoring.mean_loss(scores, mask, loss) == mean


def test_a_mean_over_nothing_is_nan():
    scores = _scores([4.0], [2])
    for loss in ('sequence', 'example', 'token'):
        nothing = np.array([], int)
        assert np.isnan(scoring.mean_loss(scores, nothing, loss))


OWNERS = 3
REQUESTS = [Request(i % OWNERS, i) for i in range(19)] + [Request(2, 0)]


@pytest.fixture(scope='module')
def evaluator(lm, model, store):
    decoder = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=4,
        batch_size=8,
        place_rows=plain.same,
    )
    packer = Packer(plain.P, (Shape(64, 16, (3,)),))  # many grids
    return Evaluator(store, lm.tokenizer, packer, decoder)


@pytest.fixture(scope='module')
def bank():
    return plain.random_bank(np.random.default_rng(0), OWNERS)


@pytest.fixture(scope='module')
def scored(evaluator, bank):
    return evaluator.score(bank, REQUESTS)


def test_a_loss_is_the_sum_over_its_targets(evaluator, scored, bank):
    model, base = evaluator.generator.model, evaluator.generator.base

    @jax.jit
    def log_p(params, tokens):
        return jax.nn.log_softmax(plain.logits(model, base, params, tokens))

    for i, request in enumerate(REQUESTS):
        query, target = (
            f(request.instance)
            for f in (evaluator.store.query, evaluator.store.target)
        )
        tokens = np.zeros(96, np.int32)  # padded behind the causal mask
        tokens[: len(query) + len(target)] = [*query, *target]
        params = jax.tree.map(lambda x, r=request: x[r.owner], bank)
        rows = np.asarray(log_p(params, tokens))[plain.P + len(query) - 1 :]
        expected = -sum(rows[j, t] for j, t in enumerate(target))
        assert scored.loss[i] == pytest.approx(expected, rel=1e-5)
        assert scored.target_tokens[i] == len(target)


def test_slices_of_requests_are_the_whole(evaluator, scored, bank, monkeypatch):
    monkeypatch.setattr(scoring, 'SLICE', 7)
    again, _ = evaluator.losses(bank, REQUESTS)
    np.testing.assert_allclose(again, scored.loss, rtol=1e-5)


def test_scores_are_those_of_the_texts(evaluator, scored):
    for i, request in enumerate(REQUESTS):
        record = evaluator.store.record(request.instance)
        text = scored.predictions[i]
        assert scored.rouge_l[i] == rouge_l(text, record['outputs'])
        assert scored.exact_match[i] == exact_match(text, record['outputs'])
    assert ((scored.output_tokens >= 0) & (scored.output_tokens <= 4)).all()
    assert len(set(scored.predictions)) > 1


class Dictated:
    """A generator that writes given texts, whatever the model would."""

    def __init__(self, evaluator, texts):
        generator = evaluator.generator
        self.model, self.base = generator.model, generator.base
        self.place_rows = generator.place_rows
        self.outputs = evaluator.tokenizer.encode_batch(texts, False)

    def __call__(self, bank, queries, progress=''):
        del bank, progress
        assert len(queries) == len(self.outputs)
        return [np.array(tokens) for tokens in self.outputs]


def test_a_prediction_is_compared_with_every_reference(evaluator, bank):
    """Instances 1, 3 and 5 have 'river 1' and 'the 1 river', and so on."""
    instances = [1, 3, 5, 0]
    for i in instances[:3]:
        outputs = evaluator.store.record(i)['outputs']
        assert outputs == [f'river {i}', f'the {i} river']
    texts = ['the 1 river', 'river 3', 'a 5 river', 'the 0 river']
    writing = evaluator._replace(generator=Dictated(evaluator, texts))
    found = writing.score(bank, [Request(0, i) for i in instances])
    assert found.predictions == texts
    # 'a 5 river' has two of three words of the second in order; '0' has one
    # reference, 'river 0', of which one word of three is in order.
    np.testing.assert_allclose(found.rouge_l, [1, 1, 2 / 3, 2 / 5])
    np.testing.assert_array_equal(found.exact_match, [1, 1, 0, 0])


def test_a_prediction_has_no_space_around_it(evaluator, bank):
    writing = evaluator._replace(generator=Dictated(evaluator, [' river 1 ']))
    found = writing.score(bank, [Request(0, 1)])
    assert found.predictions == ['river 1']


def test_the_bare_model_reads_no_slots(evaluator, scored, bank):
    """Its scores are of the model alone; those of prompts stay theirs."""
    bare, nothing = evaluator.bare()
    queries = [evaluator.store.query(i) for i in (0, 5)]
    found = bare.score(nothing, [Request(0, 0), Request(0, 5)])
    model, base = evaluator.generator.model, evaluator.generator.base
    none = {'prompt': jnp.zeros((0, 32))}
    for i, query in enumerate(queries):
        target = evaluator.store.target((0, 5)[i])
        logits = plain.logits(model, base, none, np.array([*query, *target]))
        rows = np.asarray(jax.nn.log_softmax(logits))[len(query) - 1 :]
        expected = -sum(rows[j, t] for j, t in enumerate(target))
        assert found.loss[i] == pytest.approx(expected, rel=1e-5)
        first = evaluator.tokenizer.decode_batch([[int(rows[0].argmax())]])[0]
        assert found.predictions[i].startswith(first.strip())
    again = evaluator.score(bank, REQUESTS[:2])
    np.testing.assert_allclose(again.loss, scored.loss[:2], rtol=1e-5)
    assert again.predictions == scored.predictions[:2]


def test_the_order_of_requests_does_not_matter(evaluator, scored, bank):
    order = np.random.default_rng(1).permutation(len(REQUESTS))
    again = evaluator.score(bank, [REQUESTS[i] for i in order])
    assert again.predictions == [scored.predictions[i] for i in order]
    np.testing.assert_allclose(again.loss, scored.loss[order], rtol=1e-5)


@pytest.mark.parametrize('bad', [jnp.nan, jnp.inf])
def test_a_non_finite_owner_has_no_score_and_harms_nobody(
    bad, evaluator, scored, bank
):
    broken = jax.tree.map(lambda x: x.at[1, 2, 3].set(bad), bank)
    again = evaluator.score(broken, REQUESTS)
    dead = np.array([r.owner == 1 for r in REQUESTS])
    for field in ('rouge_l', 'exact_match', 'loss'):
        ours, theirs = getattr(again, field), getattr(scored, field)
        assert np.isnan(ours[dead]).all()
        np.testing.assert_array_equal(ours[~dead], theirs[~dead])
    assert np.isnan(scoring.mean_loss(again, dead, 'sequence'))


def test_a_row_poisoned_by_an_owner_is_scored_again_apart(
    evaluator, scored, bank, monkeypatch
):
    def poisoned(model, base, bank, grid):
        rows = (grid.owner == 1).any(axis=1, keepdims=True)
        return jnp.where(rows, jnp.nan, grid_losses(model, base, bank, grid))

    monkeypatch.setattr(scoring, 'grid_losses', poisoned)
    again, _ = evaluator.losses(bank, REQUESTS)
    dead = np.array([r.owner == 1 for r in REQUESTS])
    assert np.isnan(again[dead]).all()
    np.testing.assert_allclose(again[~dead], scored.loss[~dead], rtol=1e-5)
