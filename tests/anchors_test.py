"""Laws of the anchors that need no model: copy and majority."""

import numpy as np
import pytest

from fedprompt_jax.evaluation import anchors


class Texts:
    """A store of (input, outputs, choices) alone."""

    def __init__(self, *examples) -> None:
        self._examples = examples

    def record(self, i: int) -> dict:
        text, outputs, *choices = self._examples[i]
        record = {'input': text, 'outputs': outputs.split('|')}
        return record | ({'choices': choices[0]} if choices else {})

    def target(self, i: int) -> np.ndarray:
        return np.zeros(i + 1)


def same(store):
    """In place of ROUGE-L: whether the text is the first output."""
    return lambda i, text: float(text == store.record(i)['outputs'][0])


def fitted(fit, store, instances, asked=None):
    """What an anchor fitted on some examples answers to others."""
    answer = fit(store, instances, same(store))
    return [answer(store.record(i)) for i in asked or instances]


def test_the_majority_is_the_most_frequent_first_output():
    store = Texts(('a', 'no'), ('b', 'yes|no'), ('c', 'yes'), ('d', 'no|yes'))
    assert fitted(anchors.majority, store, [0, 1, 2]) == ['yes'] * 3
    # Of equals the earliest; a client's other examples have no say.
    assert fitted(anchors.majority, store, [0, 1]) == ['no', 'no']
    assert fitted(anchors.majority, store, [1, 2], [3]) == ['yes']


@pytest.mark.parametrize(
    ('answers', 'place'),
    [
        (('the cat sat', 'a dog ran'), None),
        (('the', 'a'), 0),
        (('cat', 'dog'), 1),
        (('sat', 'ran'), -1),
    ],
)
def test_copy_takes_the_place_that_fits_its_examples(answers, place):
    texts = 'the cat sat', 'a dog ran', 'one big black bird sang'
    store = Texts(*zip(texts, (*answers, '?'), strict=True))
    expected = anchors.part(texts[2], place)
    assert fitted(anchors.copied, store, [0, 1], [2]) == [expected]


def test_copy_takes_the_whole_input_where_nothing_fits():
    store = Texts(('the cat', 'x'), ('a dog', 'y'))
    assert fitted(anchors.copied, store, [0, 1]) == ['the cat', 'a dog']


def test_a_place_that_a_text_does_not_have_is_no_answer():
    assert anchors.part('one two', 2) == anchors.part('one two', -3) == ''
    assert anchors.part('one two', -2) == 'one'
    assert anchors.places()[:5] == [None, 0, -1, 1, -2]
    assert len(anchors.places()) == 1 + 2 * anchors.PLACES


def test_an_answer_is_one_of_the_choices():
    choices = ['not at all', 'at all times', 'never']
    store = Texts(
        ('never say never', 'never', choices),
        ('at times', 'at all times', choices),
        ('so what', 'not at all', choices),
    )
    assert fitted(anchors.copied, store, [0, 1]) == ['never', 'at all times']
    assert fitted(anchors.majority, store, [0]) == ['never']
    # Nothing in common: the first choice.
    record = store.record(2)
    assert anchors.nearest(record, 'so what') == 'not at all'
    assert anchors.nearest(record, 'NEVER') == 'never'


def test_scores_are_those_of_the_answers_of_each_owner():
    store = Texts(('a b', 'b'), ('c d', 'c|x'), ('e', 'f', ['e', 'f']))
    answers = [lambda r: r['input'].split()[0], lambda r: 'f']
    scorer = anchors.WithoutModel(store, same(store), answers)
    requests = [
        anchors.Request(owner, i) for owner in (0, 1) for i in (0, 1, 2)
    ]
    scores = scorer.score(None, requests)
    assert scores.predictions == ['a', 'c', 'e', 'f', 'f', 'f']
    assert scores.rouge_l.tolist() == [0, 1, 0, 0, 0, 1]
    assert scores.exact_match.tolist() == [0, 1, 0, 0, 0, 1]
    assert np.isnan(scores.loss).all()
    assert scores.target_tokens.tolist() == [1, 2, 3] * 2
    assert [len(x) for x in scores.choice_losses] == [0, 0, 2] * 2
