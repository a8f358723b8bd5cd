"""An open question's answer is right where it begins with a reference."""

import numpy as np
import pytest

from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.evaluation import anchors, beginnings, units
from fedprompt_jax.evaluation.generation import Generator
from fedprompt_jax.evaluation.scoring import Evaluator, Request
from tests import plain


class Pieces:
    """A tokenizer whose tokens are the pieces of a list."""

    def __init__(self, *pieces):
        self.pieces = pieces

    def decode_batch(self, rows):
        return [''.join(self.pieces[t] for t in row) for row in rows]


PIECES = Pieces(' Jama', ' Jamaica', 'ica', '.', ' Paris', '\n', ' and')


@pytest.mark.parametrize(
    ('output', 'references', 'right'),
    [
        ([1, 3], ['Jamaica'], True),  # what follows does not matter
        ([0, 2], ['Jamaica'], True),  # nor how it is cut
        ([1], ['Jama'], False),  # not at the end of a token
        ([0, 2], ['Jama'], True),
        ([1], ['Jamaica.'], False),  # it is not all there
        ([1, 3], ['Jamaica.'], True),
        ([4], ['Jamaica', 'Paris'], True),  # any reference
        ([4], ['paris'], False),  # to the letter
        ([5, 4], ['Paris'], False),  # from the first token on
        ([6, 4], ['Paris'], False),
        ([], ['Paris'], False),
    ],
)
def test_the_first_tokens_read_as_a_reference(output, references, right):
    found = beginnings.begins(np.array(output, int), references, PIECES)
    assert found is right


def greedy_in_lm_eval(continuation, argmax):
    """is_greedy of lm-eval 0.4.13 (models/huggingface.py), of one reference."""
    return list(argmax[: len(continuation)]) == list(continuation)


def test_it_is_lm_eval_s_greedy_match_of_any_reference(lm):
    """Of outputs that are texts as the tokenizer cuts them."""
    tokenizer = lm.tokenizer
    texts = [' question', ' questions', ' the passage', ' positive', ' xkz']
    references = [t.strip() for t in texts]
    outputs = tokenizer.encode_batch(
        [a + b for a in texts for b in texts], False
    )
    matched = 0
    for output in outputs:
        for chosen in (references[:2], references[2:4], references[4:]):
            cut = tokenizer.encode_batch([f' {r}' for r in chosen], False)
            expected = any(greedy_in_lm_eval(c, output) for c in cut)
            found = beginnings.begins(output, chosen, tokenizer)
            assert found == expected, (tokenizer.decode(output), chosen)
            matched += found
    assert 20 <= matched < 50


@pytest.fixture(scope='module')
def store(lm, tmp_path_factory):
    instances = [
        Instance('1', 'q', ('the river', 'name'), beginning=True),
        Instance('2', 'q', ('the river', 'name')),
        Instance('3', 'q', ('name',), ('name', 'the river')),
    ]
    return open_store(
        Source('open', 'open', lambda: [bare('open', instances)]),
        lm.tokenizer,
        Template('Question: {input}', '\nAnswer:', 64, 16, ' {output}'),
        tmp_path_factory.mktemp('store'),
    )


@pytest.mark.parametrize(
    ('text', 'open_question', 'free_text'),
    [
        (' name and more', 1, 0),
        (' name', 1, 1),
        (' Name.', 0, 1),
        (' the name', 0, 0),
    ],
)
def test_the_source_says_how_an_answer_is_compared(
    text, open_question, free_text, lm, model, store
):
    generator = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=16,
        batch_size=2,
        place_rows=plain.same,
    )
    (tokens,) = lm.tokenizer.encode_batch([text], False)

    class Dictated:
        def __getattr__(self, name):
            return getattr(generator, name)

        def __call__(self, bank, queries, progress=''):
            return [np.array(tokens)] * len(queries)

    packer = Packer(plain.P, (Shape(64, 24, (3,)),))
    evaluator = Evaluator(store, lm.tokenizer, packer, Dictated())
    bank = plain.random_bank(np.random.default_rng(0), 1)
    found = evaluator.score(bank, [Request(0, i) for i in range(3)])
    assert found.exact_match.tolist()[:2] == [open_question, free_text]
    assert found.predictions[:2] == [text.strip()] * 2
    assert found.output_tokens[0] == len(tokens)
    assert found.exact_match[2] == (found.predictions[2] == 'name')


def test_without_a_model_a_text_is_right_where_it_is_a_reference(store):
    for text, expected in (('name', [1, 1, 1]), ('Name.', [0, 1, 0])):
        scorer = anchors.WithoutModel(
            store, lambda instance, text: 0.0, [lambda record, t=text: t]
        )
        found = scorer.score(None, [Request(0, i) for i in range(3)])
        assert found.exact_match.tolist() == expected


def test_a_run_says_how_many_are_compared_so(store, lm):
    counted = units.census(store, range(3), lm.tokenizer)
    assert counted.beginnings == 1
    said = units.settings(counted)['exact_match']
    assert said.endswith(
        'of 1 open questions: the greedy answer begins with a reference'
    )
    free = units.settings(units.census(store, [1, 2], lm.tokenizer))
    assert 'open questions' not in free['exact_match']
