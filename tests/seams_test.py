"""Where query, separator and answer meet: text in, transformers' ids out."""

import itertools

import numpy as np
import pytest

from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from tests import tiny_tokenizers

INPUTS = (
    'what is the name of the river?',
    'Review: I like it. ',
    'Is this review positive?\n',
    '  two  spaces ',
    'no',
    'naïve 東京 🙂',
)
ANSWERS = ('yes', 'the river', ' spaced', 'n', '123')
# Separators and targets; the last three end a query in spaces.
TEMPLATES = (
    ('\n', '{output}'),
    ('\nAnswer:', ' {output}'),
    ('\nAnswer: ', '{output}'),
    (' A:  ', '{output}.'),
    ('\n ', '{output}'),
)
DECODERS = [k for k in tiny_tokenizers.KINDS if k not in ('t5', 'roberta')]


@pytest.fixture(scope='module')
def both(tmp_path_factory):
    return tiny_tokenizers.pairs(tmp_path_factory.mktemp)


def stored(tokenizer, folder, separator, target, objective, **changes):
    """A store of every input with every answer, which is a choice too."""
    pairs = itertools.product(INPUTS, ANSWERS)
    task = bare(
        'seams',
        [
            Instance(str(i), text, (answer,), (answer, 'no'))
            for i, (text, answer) in enumerate(pairs)
        ],
    )
    template = Template(
        **{
            'text': 'Q: {input}',
            'separator': separator,
            'max_query': 64,
            'max_target': 32,
            'target': target,
        }
        | changes
    )
    return open_store(
        Source('seams', 'seams', lambda: [task]),
        tokenizer,
        template,
        folder,
        objective,
    )


def lm_eval_pair(theirs, context, continuation):
    """The ids of both by lm-eval's rule; its trailing spaces, not lines."""
    spaces = len(context) - len(context.rstrip(' '))
    if spaces:
        continuation = context[-spaces:] + continuation
        context = context[:-spaces]
    before = theirs(context, split_special_tokens=True).input_ids
    whole = theirs(context + continuation, split_special_tokens=True).input_ids
    return before, whole[len(before) :]


@pytest.mark.parametrize('kind', DECODERS)
@pytest.mark.parametrize(('separator', 'target'), TEMPLATES)
def test_a_decoder_reads_what_transformers_and_lm_eval_read(
    kind, separator, target, both, tmp_path
):
    ours, theirs = both(kind)
    store = stored(ours, tmp_path, separator, target, 'causal_lm')
    for i in range(len(store)):
        record = store.record(i)
        context = f'Q: {record["input"]}{separator}'
        for answer, tokens in (
            (record['outputs'][0], store.target(i)[:-1]),
            *zip(record['choices'], store.choices(i), strict=True),
        ):
            continuation = target.replace('{output}', answer)
            query, expected = lm_eval_pair(theirs, context, continuation)
            assert store.query(i).tolist() == query
            assert tokens.tolist() == expected
        assert store.target(i)[-1] == ours.eos_id


@pytest.mark.parametrize('kind', ['t5', 'roberta'])
def test_an_encoder_reads_what_transformers_reads(kind, both, tmp_path):
    ours, theirs = both(kind)
    separator = ' It was {mask} .' if kind == 'roberta' else '\nAnswer:'
    words = ('is', 'the')  # of one token each
    instances = [Instance(t, t, words[:1], words) for t in INPUTS]
    store = open_store(
        Source('seams', 'seams', lambda: [bare('seams', instances)]),
        ours,
        Template('Q: {input}', separator, 64, 32, ' {output}'),
        tmp_path,
        tiny_tokenizers.OBJECTIVES[kind],
    )
    for i in range(len(store)):
        text = f'Q: {INPUTS[i]}{separator}'.replace('{mask}', '<mask>')
        assert store.query(i).tolist() == theirs(text).input_ids
        answer = theirs(' is', add_special_tokens=False).input_ids
        end = [] if kind == 'roberta' else [ours.eos_id]
        assert store.target(i).tolist() == answer + end


@pytest.mark.parametrize('kind', tiny_tokenizers.KINDS)
def test_a_cut_query_keeps_its_separator_and_its_answer(kind, both, tmp_path):
    ours, _ = both(kind)
    objective = tiny_tokenizers.OBJECTIVES.get(kind, 'causal_lm')
    separator = '\nAnswer:'
    if kind == 'roberta':
        return  # its answers stand at a mask: see objectives_test
    whole = stored(ours, tmp_path, separator, ' {output}', objective)
    cut = stored(
        ours, tmp_path, separator, ' {output}', objective, max_query=16
    )
    assert cut.truncated['queries'] == (whole.query_lengths > 16).sum() > 0
    for i in range(len(whole)):
        if len(whole.query(i)) <= 16:
            np.testing.assert_array_equal(cut.query(i), whole.query(i))
            continue
        assert len(cut.query(i)) == 16
        tail = ours.decode(cut.query(i))
        assert tail.endswith('Answer:')
        np.testing.assert_array_equal(cut.target(i), whole.target(i))


@pytest.mark.parametrize('objective', ['causal_lm', 'seq2seq_lm'])
def test_spaces_that_end_a_query_are_the_answer_s(objective, both, tmp_path):
    ours, _ = both('byte_level')
    store = stored(ours, tmp_path, '\nAnswer:  ', '{output}', objective)
    for i in range(len(store)):
        assert ours.decode(store.query(i)).endswith('\nAnswer:')
        expected = '  ' + store.record(i)['outputs'][0]
        assert ours.decode(store.target(i)) == expected


def test_an_answer_that_melts_into_the_query_is_counted(both, tmp_path):
    ours, theirs = both('byte_level')

    def store(answer, text='the riv'):
        task = bare('t', [Instance('0', text, (answer,))])
        source = Source('t', 't', lambda: [task])
        return open_store(
            source, ours, Template('{input}', '', 64, 32), tmp_path / answer[:3]
        )

    answer = 'er is not in the passage. Is this review positive?'
    query, expected = lm_eval_pair(theirs, 'the riv', answer)
    assert query != theirs(f'the riv{answer}').input_ids[: len(query)]
    made = store(answer)
    assert made.merged == 1
    assert made.target(0)[:-1].tolist() == expected != []
    # The whole has fewer tokens than the query, or as many.
    for text, answer in (('the riv', 'er'), ('qu', 'estion')):
        query, expected = lm_eval_pair(theirs, text, answer)
        assert not expected
        with pytest.raises(ValueError, match='no token of its own'):
            store(answer, text)
