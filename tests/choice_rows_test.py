"""A query that is read once for all its choices, and read again for each."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_losses
from fedprompt_jax.bank.kind import Start
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation import choices
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prefix import Prefix
from fedprompt_jax.peft.prompt import Prompt
from tests import kinds_test
from tests.exhaustive import beyond

RNG = np.random.default_rng(0)
FAMILIES = {
    'llama_linear': 'causal_lm', 'gpt2': 'causal_lm', 'roberta': 'masked_lm',
    't5_v1_1': 'seq2seq_lm',
}  # fmt: skip


def kind_of(name: str, family: str):
    info = kinds_test.base_of(family)
    reader = info.config.reader
    stack = ('encoder', 'layers') if info.config.encoder else ('layers',)
    layers = (3,) * reader.num_layers
    if name == 'lora':
        return kinds_test.made('lora', family, targets='attention/.*')
    return {
        'prompt': Prompt(3),
        'prefix': Prefix(
            layers, reader.num_kv_heads, reader.head_dim, stack=stack
        ),
        'adapter': kinds_test.made('adapter', family, scale=0.3),
    }[name]


def questions(family: str) -> list[Example]:
    """Of two owners, with one to four targets of ragged lengths."""
    made = []
    for i, count in enumerate((1, 3, 2, 4)):
        query = RNG.integers(5, 200, 4 + i).astype(np.int32)
        sizes = RNG.integers(1, 4, count)
        at = None
        if FAMILIES[family] == 'masked_lm':
            sizes[:], at = 2, np.array([1, 3])
        targets = [RNG.integers(5, 200, n).astype(np.int32) for n in sizes]
        if FAMILIES[family] == 'seq2seq_lm':
            at = np.full(sizes[0], len(query) - 1)
        made.append(Example(i % 2, query, targets[0], at, tuple(targets[1:])))
    return made


def apart(example: Example) -> list[Example]:
    """The same targets, each behind a query of its own."""
    at = example.at
    return [
        Example(
            example.owner,
            example.query,
            target,
            None if at is None else np.resize(at, len(target)),
        )
        for target in example.targets
    ]


def losses(model, base, bank, packer, examples) -> list[np.ndarray]:
    """-log p of the tokens of every target, target by target."""
    count = sum(len(e.targets) for e in examples)
    found: list[list[float]] = [[] for _ in range(count)]
    for grid in packer.pack(examples, [1.0] * len(examples)):
        made = np.asarray(grid_losses(model, base, bank, grid))
        for r, k in np.argwhere(grid.target_number >= 0):
            found[grid.target_number[r, k]].append(made[r, k])
    return [np.array(x) for x in found]


@pytest.mark.parametrize(
    ('name', 'family'),
    beyond(
        [('prefix', 'gpt2'), ('adapter', 't5_v1_1')],
        itertools.product(('prompt', 'prefix', 'lora', 'adapter'), FAMILIES),
    ),
)
def test_losses_are_those_of_a_query_for_each(name, family):
    """With examples of another owner in the same row."""
    transformer = Transformer(kinds_test.base_of(family).config)
    tokens = np.ones((1, 4), np.int32)
    base = jax.jit(transformer.init)(jax.random.key(1), tokens)['params']
    base = jax.tree.map(lambda x: x + 0.1 * _noise(x), base)
    kind = kind_of(name, family)
    start = Start(RNG, jnp.zeros((300, 32)), lambda text: [1])
    bank = jax.tree.map(
        lambda x: jnp.stack([x + 0.3 * _noise(x) for _ in range(2)]),
        kind.init(start),
    )
    model = TunedModel(transformer, kind)
    packer = model.packer(Shape(64, 32, (1, 4)))
    together = questions(family)
    alone = [one for e in together for one in apart(e)]
    ours = losses(model, base, bank, packer, together)
    theirs = losses(model, base, bank, packer, alone)
    assert len(ours) == len(theirs) == 10
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    read = [sum(e.num_tokens for e in x) for x in (together, alone)]
    assert read[0] < 0.75 * read[1]


def _noise(x):
    return jnp.asarray(RNG.normal(size=x.shape), x.dtype)


def test_one_target_is_packed_as_if_there_were_never_more():
    """Every field of its grid; `reads` is the segment itself."""
    example = questions('gpt2')[0]
    assert not example.more
    packer = TunedModel(
        Transformer(kinds_test.base_of('gpt2').config), Prompt(3)
    ).packer(Shape(32, 8, (1,)))
    (grid,) = packer.pack([example], [1.0])
    np.testing.assert_array_equal(grid.reads, grid.segment)
    assert set(grid.target_number.ravel()) <= {0, -1}


def test_beginnings_of_a_target_are_not_asked_again():
    target = np.array([4, 5, 6, 2])
    asked = [target, target[:3], target[:1], np.array([4, 7]), target[:3]]
    kept, parts = choices.distinct(asked)
    assert [k.tolist() for k in kept] == [[4, 5, 6, 2], [4, 7]]
    assert parts == [(0, 4), (0, 3), (0, 1), (1, 2), (0, 3)]
    for wanted, (place, size) in zip(asked, parts, strict=True):
        np.testing.assert_array_equal(kept[place][:size], wanted)


def test_a_row_s_room_decides_how_many_choices_share_a_query():
    class Store:
        def target(self, i):
            return np.array([9, 8, 2])

        def choices(self, i):
            return [np.array([n, n + 1]) for n in (9, 20, 30, 40)]

        def example(self, owner, i, target):
            return Example(owner, np.arange(1, 6), target)

    def holds(most):
        return lambda example: example.num_tokens <= most

    sizes = {
        most: [len(e.targets) for e in choices.examples(
            Store(), 0, 0, holds(most)
        )]
        for most in (100, 8, 7, 1)
    }  # fmt: skip
    # 5 of the query, 2 of the target, 1 of each other choice.
    assert sizes == {100: [5], 8: [2, 3], 7: [1, 2, 2], 1: [1] * 5}
