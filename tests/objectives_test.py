"""Examples of models that are not causal: where a target is predicted."""

import dataclasses

import numpy as np
import pytest

from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny_families
from tests.conftest import make_task

WORDS = (' the', ' is')  # tokens of their own


@pytest.fixture(scope='module')
def tokenizer(tmp_path_factory):
    """RoBERTa's: it has a mask, a first and a last token."""
    folder = tmp_path_factory.mktemp('roberta')
    return Tokenizer.from_folder(
        tiny_families.make_checkpoint(folder, 'roberta')
    )


def build(tokenizer, folder, objective, words=WORDS, **template):
    """A store of six instances that choose between two words."""
    task = make_task(count=6)
    instances = [
        dataclasses.replace(x, outputs=(words[i % 2],), choices=words)
        for i, x in enumerate(task.instances)
    ]
    task = dataclasses.replace(task, instances=tuple(instances))
    parts = {'separator': ' It was {mask} .', 'max_query': 64} | template
    made = Template('{input}', max_target=8, **parts)
    source = Source('words', 'words', lambda: [task])
    return open_store(source, tokenizer, made, folder, objective)


@pytest.mark.parametrize('room', [64, 16])
def test_a_masked_model_predicts_at_its_mask(tokenizer, tmp_path, room):
    store = build(tokenizer, tmp_path, 'masked_lm', max_query=room)
    assert store.truncated['queries'] == (6 if room == 16 else 0)
    for i in range(len(store)):
        e = store.example(3, i)
        assert e.query[0] == tokenizer.bos_id
        assert e.query[-1] == tokenizer.eos_id  # truncation spares the end
        assert [e.query[at] for at in e.target_index] == [tokenizer.mask_id]
        assert tokenizer.decode(e.target) == WORDS[i % 2]  # and no end
        assert e.num_tokens == len(e.tokens) == len(e.query) <= room
        other = store.example(3, i, target=store.choices(i)[0])
        np.testing.assert_array_equal(other.at, e.at)


@pytest.mark.parametrize(
    ('words', 'separator', 'found'),
    [
        ((' the', ' terrible'), ' It was {mask} .', r'has . tokens.* 1 mask'),
        (WORDS, ' It was', r'the query has no mask.*put \{mask\} into'),
    ],
)
def test_words_and_masks_must_agree(
    tokenizer, tmp_path, words, separator, found
):
    with pytest.raises(ValueError, match=f'task1_rivers.*{found}'):
        build(
            tokenizer, tmp_path, 'masked_lm', words=words, separator=separator
        )
    assert not list(tmp_path.iterdir())


def test_a_decoder_predicts_from_the_end_of_the_query(tokenizer, tmp_path):
    store = build(tokenizer, tmp_path, 'seq2seq_lm', separator='\n')
    for i in range(len(store)):
        e = store.example(0, i)
        assert e.query[-1] == e.target[-1] == tokenizer.eos_id
        assert set(e.target_index) == {len(e.query) - 1}
        np.testing.assert_array_equal(e.tokens, e.query)


@pytest.mark.parametrize('objective', ['causal_lm', 'masked_lm', 'seq2seq_lm'])
def test_a_row_is_as_long_as_what_its_model_reads(
    tokenizer, tmp_path, objective
):
    store = build(tokenizer, tmp_path, objective)
    instances = np.arange(len(store))
    lengths = store.row_lengths(instances, store.target_lengths)
    read = [store.example(0, i).num_tokens for i in instances]
    np.testing.assert_array_equal(lengths, read)


def test_objectives_do_not_share_a_store(tokenizer, tmp_path):
    prints = {
        build(tokenizer, tmp_path, objective, separator=' {mask}').fingerprint
        for objective in ('causal_lm', 'masked_lm', 'seq2seq_lm')
    }
    assert len(prints) == 3


def test_a_prompt_that_reads_stands_before_every_example(tokenizer, tmp_path):
    store = build(tokenizer, tmp_path, 'masked_lm')
    examples = [store.example(c // 3, c) for c in range(6)]
    packer = Packer(3, (Shape(96, 8, (4,)),), shared=False)
    (grid,) = packer.pack(examples, [1.0] * 6)
    real = grid.owner >= 0
    assert (grid.slot >= 0).sum() == 6 * 3
    # Three slots and their example are one segment, whose places go on.
    pairs = {(r, s) for r, s in zip(*np.nonzero(grid.slot == 0), strict=True)}
    assert len(pairs) == 6
    for row, start in pairs:
        segment = grid.segment[row, start]
        own = np.flatnonzero(real[row] & (grid.segment[row] == segment))
        np.testing.assert_array_equal(own, start + np.arange(len(own)))
        np.testing.assert_array_equal(
            grid.position[row, own], np.arange(len(own))
        )
        (at,) = own[3:][grid.tokens[row, own[3:]] == tokenizer.mask_id]
        assert at in grid.target_index[row]


def test_a_mask_in_a_text_is_no_mask(tokenizer, tmp_path):
    mask = tokenizer.backend.id_to_token(tokenizer.mask_id)
    task = make_task(count=2)
    instances = [
        dataclasses.replace(
            x, input=f'a {mask} b', outputs=(WORDS[0],), choices=WORDS
        )
        for x in task.instances
    ]
    task = dataclasses.replace(task, instances=tuple(instances))
    made = Template('{input}', ' It was {mask} .', 64, 8)
    source = Source('words', 'words', lambda: [task])
    store = open_store(source, tokenizer, made, tmp_path, 'masked_lm')
    assert len(store.example(0, 0).target_index) == 1
    assert store.record(0)['input'] == f'a {mask} b'


def test_a_mask_that_is_cut_off_names_the_key(tokenizer, tmp_path):
    made = Template('{input} {mask} .', '', 5, 8)
    task = make_task(count=1)
    source = Source('words', 'words', lambda: [task])
    with pytest.raises(ValueError, match='max_query=5 tokens; raise that'):
        open_store(source, tokenizer, made, tmp_path, 'masked_lm')


def test_another_mask_is_another_tokenizer(tokenizer):
    other = dataclasses.replace(tokenizer, mask_id=7)
    assert other.fingerprint != tokenizer.fingerprint
