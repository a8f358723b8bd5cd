"""Laws of packing: what a grid holds, who reads whom, how many shapes."""

import itertools

import numpy as np
import pytest

from fedprompt_jax.bank.reading import reads_of
from fedprompt_jax.data import packing
from fedprompt_jax.data.examples import LOSSES, Example, token_weights
from fedprompt_jax.data.packing import NOBODY, Packer, Shape
from fedprompt_jax.data.shapes import choose_shapes

SHAPES = (Shape(24, 8, (2, 5)), Shape(48, 20, (3,)))


def random_examples(seed, count=60, owners=7, longest=30):
    """Ragged examples whose tokens are all different."""
    rng = np.random.default_rng(seed)
    examples, token = [], 1
    for _ in range(count):
        q, t = rng.integers(1, longest), rng.integers(1, 12)
        tokens = np.arange(token, token + q + t, dtype=np.int32)
        owner = int(rng.integers(owners))
        examples.append(Example(owner, tokens[:q], tokens[q:]))
        token += q + t
    return examples


def several(seed, count=40, owners=7, longest=12):
    """The same with one to four targets; each query has tokens of its own."""
    rng = np.random.default_rng(seed)
    found, token = [], 1
    for _ in range(count):
        sizes = rng.integers(1, [longest, *[6] * rng.integers(1, 5)])
        ends = token + np.cumsum(sizes)
        query, first, *more = (
            np.arange(end - n, end, dtype=np.int32)
            for end, n in zip(ends, sizes, strict=True)
        )
        owner = int(rng.integers(owners))
        found.append(Example(owner, query, first, more=tuple(more)))
        token = int(ends[-1])
    return found


def read_alone(e):
    """Each target behind the query, as if it were the only one."""
    return [[*e.query, *target] for target in e.targets]


CASES = [
    (prompt, isolate, seed)
    for prompt, isolate in itertools.product((0, 3), (False, True))
    for seed in (0, 1)
]


@pytest.fixture(params=CASES, ids=str)
def packed(request):
    """(P, isolate, examples, weights, grids)."""
    prompt, isolate, seed = request.param
    examples = random_examples(seed)
    weights = token_weights(examples, 'example')
    grids = Packer(prompt, SHAPES).pack(examples, weights, isolate)
    return prompt, isolate, examples, weights, grids


def places(grid):
    """(row, place) of every target of a grid, in order."""
    return np.argwhere(grid.target_number >= 0)


def test_every_example_is_there_once_with_all_its_targets(packed):
    prompt, _, examples, weights, grids = packed
    found = {i: [] for i in range(len(examples))}
    for grid in grids:
        for r, k in places(grid):
            i, at = int(grid.target_number[r, k]), grid.target_index[r, k]
            e, t = examples[i], len(found[int(grid.target_number[r, k])])
            found[i].append(int(grid.target_label[r, k]))
            assert grid.target_owner[r, k] == e.owner == grid.owner[r, at]
            assert grid.target_weight[r, k] == np.float32(weights[i])
            # The token that predicts target t, and its position.
            predictor = [*e.query, *e.target][len(e.query) - 1 + t]
            assert grid.tokens[r, at] == predictor
            assert grid.position[r, at] == prompt + len(e.query) - 1 + t
    assert [found[i] for i in found] == [list(e.target) for e in examples]
    tokens = np.concatenate(
        [g.tokens[(g.owner >= 0) & (g.slot < 0)] for g in grids]
    )
    read = [np.concatenate([e.query, e.target[:-1]]) for e in examples]
    assert sorted(tokens) == sorted(np.concatenate(read))


def test_a_token_reads_its_prompt_and_its_example_up_to_itself(packed):
    """attends(q, k) against the ids of the tokens themselves."""
    prompt, _, examples, _, grids = packed
    of = {t: i for i, e in enumerate(examples) for t in [*e.query, *e.target]}
    for grid in grids:
        mask = np.asarray(reads_of(grid).mask(causal=True))
        for r, q in np.argwhere(grid.owner >= 0):
            reads = np.flatnonzero(mask[r, q])
            slots = reads[grid.slot[r, reads] >= 0]
            texts = reads[grid.slot[r, reads] < 0]
            owner = grid.owner[r, q]
            assert (grid.owner[r, reads] == owner).all()
            if grid.slot[r, q] >= 0:
                assert list(grid.slot[r, slots]) == list(
                    range(grid.slot[r, q] + 1)
                )
                assert not len(texts)
                continue
            assert list(grid.slot[r, slots]) == list(range(prompt))
            e = examples[of[grid.tokens[r, q]]]
            whole = [*e.query, *e.target]
            n = whole.index(grid.tokens[r, q]) + 1
            assert list(grid.tokens[r, texts]) == whole[:n]


@pytest.fixture(params=(0, 3))
def questions(request):
    """(P, examples with several targets, grids)."""
    examples = several(request.param)
    weights = [i + 1.0 for i in range(len(examples))]
    grids = Packer(request.param, SHAPES).pack(examples, weights)
    return request.param, examples, grids


def test_each_target_is_there_once_as_if_it_alone_followed_its_query(questions):
    """Predicted from the token before it, at the position that it has alone."""
    prompt, examples, grids = questions
    wholes = [whole for e in examples for whole in read_alone(e)]
    of = [i for i, e in enumerate(examples) for _ in e.targets]
    found = {number: [] for number in range(len(wholes))}
    for grid in grids:
        for r, k in places(grid):
            number, at = int(grid.target_number[r, k]), grid.target_index[r, k]
            e = examples[of[number]]
            n = len(e.query) + len(found[number])  # tokens before this one
            found[number].append(int(grid.target_label[r, k]))
            assert grid.tokens[r, at] == wholes[number][n - 1]
            assert grid.position[r, at] == prompt + n - 1
            assert grid.target_owner[r, k] == e.owner == grid.owner[r, at]
            assert grid.target_weight[r, k] == of[number] + 1
    targets = [list(target) for e in examples for target in e.targets]
    assert list(found.values()) == targets
    tokens = np.concatenate(
        [g.tokens[(g.owner >= 0) & (g.slot < 0)] for g in grids]
    )
    read = [
        [*e.query, *(t for x in e.targets for t in x[:-1])] for e in examples
    ]
    assert sorted(tokens) == sorted(t for row in read for t in row)
    assert [e.num_tokens for e in examples] == [*map(len, read)]


def test_a_target_reads_its_query_and_no_other_target(questions):
    prompt, examples, grids = questions
    before = {
        token: whole[: n + 1]
        for e in examples
        for whole in read_alone(e)
        for n, token in enumerate(whole)
    }
    read = set()
    for grid in grids:
        mask = np.asarray(reads_of(grid).mask(causal=True))
        for r, q in np.argwhere((grid.owner >= 0) & (grid.slot < 0)):
            reads = np.flatnonzero(mask[r, q])
            slots = reads[grid.slot[r, reads] >= 0]
            texts = reads[grid.slot[r, reads] < 0]
            assert list(grid.slot[r, slots]) == list(range(prompt))
            assert (grid.owner[r, reads] == grid.owner[r, q]).all()
            token = int(grid.tokens[r, q])
            assert list(grid.tokens[r, texts]) == before[token]
            # Whatever it reads has the position that is its place in that.
            expected = prompt + np.arange(len(texts))
            np.testing.assert_array_equal(grid.position[r, texts], expected)
            read.add(token)
    last = {int(target[-1]) for e in examples for target in e.targets}
    assert read == set(before) - last


@pytest.mark.parametrize('make', [random_examples, several])
def test_the_mask_is_the_formula(make):
    grid = Packer(3, SHAPES).pack(make(0), [1.0] * 60)[-1]
    rows, length = grid.tokens.shape
    mask = np.asarray(reads_of(grid).mask(causal=True))
    rng = np.random.default_rng(3)
    for r, q, k in rng.integers(0, [rows, length, length], (2000, 3)):
        expected = (
            k <= q
            and grid.owner[r, q] == grid.owner[r, k]
            and (
                grid.segment[r, k] in (grid.segment[r, q], grid.reads[r, q])
                or grid.slot[r, k] >= 0
            )
        )
        assert mask[r, q, k] == expected


def test_what_has_one_target_reads_its_own_segment_alone(packed):
    *_, grids = packed
    for grid in grids:
        np.testing.assert_array_equal(grid.reads, grid.segment)


def test_positions_count_the_prompt_and_restart_behind_it(packed):
    prompt, *_, grids = packed
    for grid in grids:
        slots = grid.slot >= 0
        np.testing.assert_array_equal(grid.position[slots], grid.slot[slots])
        assert (grid.segment[slots] == 0).all()
        for r in range(len(grid.tokens)):
            for segment in set(grid.segment[r]) - {0}:
                own = grid.position[r, grid.segment[r] == segment]
                expected = prompt + np.arange(len(own))
                np.testing.assert_array_equal(own, expected)


def test_a_prompt_stands_once_a_row_and_owner(packed):
    prompt, *_, grids = packed
    for grid in grids:
        for owner, slot in zip(grid.owner, grid.slot, strict=True):
            for c in set(owner) - {NOBODY}:
                own = slot[(owner == c) & (slot >= 0)]
                assert list(own) == list(range(prompt))


@pytest.mark.parametrize('first', [None, 0, 5])
def test_examples_begin_at_the_first_position_that_is_asked_for(first):
    """A prefix that takes no positions asks for 0, which is not None."""
    examples = random_examples(2)
    packer = Packer(3, SHAPES, first_position=first)
    for grid in packer.pack(examples, [1.0] * len(examples)):
        for row, segment in zip(grid.position, grid.segment, strict=True):
            for i in set(segment) - {0}:
                own = row[segment == i]
                expected = (3 if first is None else first) + np.arange(len(own))
                np.testing.assert_array_equal(own, expected)


def test_a_packer_for_single_owners_isolates_them_always():
    examples = random_examples(2)
    packer = Packer(0, SHAPES, one_owner=True)
    for _, rows in packer.rows(examples):
        for row in rows:
            assert len({examples[i].owner for i in row}) == 1


def test_more_rows_than_are_tried_are_rows_all_the_same(monkeypatch):
    """Only the latest rows are tried; each holds what it has room for."""
    monkeypatch.setattr(packing, 'OPEN', 2)
    examples = random_examples(1, longest=9)
    packed = []
    for shape, rows in Packer(3, SHAPES).rows(examples):
        assert len(rows) > 3
        for row in rows:
            own = [examples[i] for i in row]
            prompts = 3 * len({e.owner for e in own})
            assert prompts + sum(e.num_tokens for e in own) <= shape.length
            assert sum(len(e.target) for e in own) <= shape.targets
            packed += row
    assert sorted(packed) == list(range(len(examples)))


def test_rows_hold_what_their_shape_says_and_padding_is_empty(packed):
    _, isolate, *_, grids = packed
    sizes = {(n, s.length, s.targets) for s in SHAPES for n in s.rows}
    for grid in grids:
        assert (*grid.tokens.shape, grid.target_label.shape[1]) in sizes
        padding = grid.owner == NOBODY
        assert not grid.tokens[padding].any()
        assert (grid.slot[padding] == NOBODY).all()
        empty = grid.target_number == NOBODY
        assert not grid.target_weight[empty].any()
        assert (grid.target_owner[empty] == NOBODY).all()
        for owner in grid.owner:
            owners = set(owner) - {NOBODY}
            assert not isolate or len(owners) <= 1


def test_short_examples_go_to_short_rows():
    short = Example(0, np.arange(1, 5), np.arange(1, 3))
    long = Example(0, np.arange(1, 40), np.arange(1, 3))
    many_targets = Example(0, np.arange(1, 3), np.arange(1, 11))
    for example, length in ((short, 24), (long, 48), (many_targets, 48)):
        (grid,) = Packer(3, SHAPES).pack([example], [1.0])
        assert grid.tokens.shape[1] == length


def test_a_row_holds_no_more_targets_than_it_has_places():
    """Ten targets fit a row by tokens, but only eight by places."""
    examples = [Example(0, np.arange(1, 2), np.arange(1, 6))] * 2
    (grid,) = Packer(3, (Shape(24, 8, (2,)),)).pack(examples, [1.0] * 2)
    assert (np.sum(grid.target_number >= 0, axis=1) == 5).all()


@pytest.mark.parametrize('room', [(11, 9), (12, 8)])
def test_all_targets_of_an_example_need_room(room):
    """Three tokens of a prompt, two of a query, 1 + 2 + 3 of targets; and 9."""
    targets = [np.arange(n) for n in (2, 3, 4)]
    example = Example(0, np.arange(2), targets[0], more=tuple(targets[1:]))
    with pytest.raises(ValueError, match='8 tokens and 9 targets behind'):
        Packer(3, (Shape(10, 9, (1,)),)).pack([example], [1.0])
    packer = Packer(3, (Shape(*room, (1,)),))
    assert packer.holds(example) == (room == (11, 9))
    two = [example, example._replace(query=np.arange(3))]
    grids = Packer(3, (Shape(22, 9, (2,)), Shape(30, 30, (1,)))).pack(
        two, [1] * 2
    )
    counts = [(g.target_number >= 0).sum(axis=1).tolist() for g in grids]
    assert counts == [[9, 9]]  # neither fits beside the other


def test_an_example_that_fills_a_row_fits():
    example = Example(0, np.arange(1, 5), np.arange(1, 5))  # 7 tokens
    (grid,) = Packer(3, (Shape(10, 4, (1,)),)).pack([example], [1.0])
    assert (grid.owner == 0).all() and (grid.target_owner == 0).all()


@pytest.mark.parametrize('room', [(24, 2), (6, 20)])
def test_an_example_that_fits_no_shape_is_an_error(room):
    example = Example(0, np.arange(1, 5), np.arange(1, 5))
    with pytest.raises(ValueError, match='7 tokens and 4 targets behind'):
        Packer(3, (Shape(*room, (1,)),)).pack([example], [1.0])


@pytest.mark.parametrize(
    ('rows', 'grids'),
    [
        (0, []),
        (1, [2]),
        (2, [2]),
        (3, [2, 2]),  # one row of padding, where one grid of 5 has two
        (4, [2, 2]),
        (5, [5]),
        (6, [2, 2, 2]),
        (8, [2, 2, 2, 2]),
        (9, [5, 2, 2]),
        (10, [5, 5]),
    ],
)
def test_grids_have_the_fewest_rows_of_the_compiled_sizes(rows, grids):
    assert Shape(24, 8, (2, 5)).grids(rows) == grids


@pytest.mark.parametrize(
    ('loss', 'weights'),
    # Owner 0 has examples of 1 and 3 targets, owner 1 one of 2.
    [
        ('sequence', [1 / 2, 1 / 2, 1]),
        ('example', [1 / 2, 1 / 6, 1 / 2]),
        ('token', [1 / 4, 1 / 4, 1 / 2]),
    ],
)
def test_weights_by_hand(loss, weights):
    query = np.arange(1, 3)
    examples = [Example(c, query, np.arange(t)) for c, t in ((0, 1), (0, 3))]
    examples.append(Example(1, query, np.arange(2)))
    assert token_weights(examples, loss) == pytest.approx(weights)


def test_an_unknown_loss_is_named():
    with pytest.raises(ValueError, match="'mean' must be one of"):
        token_weights([], 'mean')


@pytest.mark.parametrize('loss', LOSSES)
def test_weights_do_not_depend_on_other_owners(loss):
    examples = random_examples(4)
    weights = token_weights(examples, loss)
    for c in range(7):
        own = [i for i, e in enumerate(examples) if e.owner == c]
        alone = token_weights([examples[i] for i in own], loss)
        assert [weights[i] for i in own] == alone


@pytest.mark.parametrize('loss', LOSSES)
def test_the_mean_of_a_loss_is_the_sum_of_its_weighted_token_losses(loss):
    mine = [e for e in random_examples(4) if e.owner == 2]
    assert len(mine) > 1
    rng = np.random.default_rng(0)
    losses = [rng.uniform(0, 9, len(e.target)) for e in mine]
    weights = token_weights(mine, loss)
    expected = sum(w * x.sum() for w, x in zip(weights, losses, strict=True))
    totals = np.array([x.sum() for x in losses])
    tokens = np.array([len(x) for x in losses])
    assert LOSSES[loss].mean(totals, tokens) == pytest.approx(expected)


def chosen(batches, longest, multiple=1, max_tokens=1024, scale=256.0):
    return choose_shapes(
        batches,
        longest,
        Packer(3, ()),
        attention_scale=scale,
        target_cost=0.3,
        max_tokens=max_tokens,
        row_multiple=multiple,
    )


@pytest.mark.parametrize('multiple', [1, 4])
@pytest.mark.parametrize('longest', [30, 200])
def test_a_run_compiles_few_shapes_whatever_its_cohorts(longest, multiple):
    rng = np.random.default_rng(5)
    cohorts = [
        random_examples(seed, int(rng.integers(1, 60)), longest=longest)
        for seed in range(60)
    ]
    every = [e for cohort in cohorts for e in cohort]
    most = (
        max(e.num_tokens for e in every),
        max(len(e.target) for e in every),
    )
    packer = chosen(cohorts[:3], most, multiple)
    shapes = set()
    for cohort, isolate in itertools.product(cohorts, (False, True)):
        for grid in packer.pack(cohort, [1.0] * len(cohort), isolate):
            shapes.add((*grid.tokens.shape, grid.target_label.shape[1]))
    assert len(shapes) <= 6  # two lengths, three numbers of rows each
    for rows, length, _ in shapes:
        assert rows % multiple == 0
        assert rows * length <= 1024 or rows == multiple


@pytest.mark.parametrize('longest', [(30, 30), (100, 80), (700, 3), (40, 1)])
def test_the_longest_example_of_the_run_fits(longest):
    """Though no batch of the sample has its like."""
    tokens, targets = longest
    sample = [Example(c, np.arange(30), np.arange(1)) for c in range(9)]
    packer = chosen([sample], longest)
    query = np.arange(tokens - targets + 1, dtype=np.int32)
    example = Example(0, query, np.zeros(targets, np.int32))
    assert example.num_tokens == tokens
    assert packer.pack([example], [1.0])


def test_a_few_long_examples_get_rows_of_their_own():
    short = random_examples(7, 60, longest=8)
    long = Example(0, np.arange(1, 400), np.arange(1, 9))
    packer = chosen([[*short, long]], (long.num_tokens, 12))
    assert len(packer.shapes) == 2
    assert packer.shapes[0].length < 100 < packer.shapes[1].length


def test_a_query_may_have_more_target_tokens_than_tokens():
    """As fifty label words of one token behind a question of ten."""
    words = tuple(np.arange(i, i + 1) for i in range(50))
    batch = [
        Example(c, np.arange(10), words[0], more=words[1:]) for c in range(9)
    ]
    packer = chosen([batch], (10, 50))
    assert packer.shapes[-1].length < 50
    assert packer.pack(batch, [1.0] * 9)


def test_costly_attention_makes_rows_short():
    batches = [random_examples(seed, longest=9) for seed in range(3)]
    lengths = [
        chosen(batches, (20, 12), scale=scale).shapes[0].length
        for scale in (1.0, 1e6)
    ]
    assert lengths[0] < lengths[1]


class Unread:
    """Tokens that may be counted and not read."""

    def __init__(self, tokens):
        self.tokens = tokens

    def __len__(self):
        return len(self.tokens)

    def __array__(self, *_, **__):
        raise AssertionError('these tokens belong to another process')


@pytest.mark.parametrize('isolate', (False, True))
@pytest.mark.parametrize('make', [random_examples, several])
def test_a_process_reads_the_examples_of_its_rows_alone(make, isolate):
    """And the grids of all processes together are those of one alone."""
    examples = make(0)
    weights = token_weights(examples, 'sequence')
    whole = Packer(3, SHAPES).pack(examples, weights, isolate)
    parts = []
    for odd in (0, 1):
        own = lambda rows, odd=odd: np.arange(rows) % 2 == odd
        read = {
            number
            for grid in whole
            for number in grid.target_number[own(len(grid.tokens))].flat
        }
        firsts = np.cumsum([0, *(len(e.targets) for e in examples[:-1])])
        seen = [
            e
            if first in read
            else e._replace(
                query=Unread(e.query),
                target=Unread(e.target),
                more=tuple(map(Unread, e.more)),
            )
            for first, e in zip(firsts, examples, strict=True)
        ]
        packer = Packer(3, SHAPES, my_rows=own)
        parts.append(packer.pack(seen, weights, isolate))
    for grid, *halves in zip(whole, *parts, strict=True):
        for odd, half in enumerate(halves):
            np.testing.assert_array_equal(
                half.target_number, grid.target_number
            )
            for ours, theirs in zip(half, grid, strict=True):
                np.testing.assert_array_equal(ours[odd::2], theirs[odd::2])
            assert not half.tokens[1 - odd :: 2].any()
            assert not half.target_weight[1 - odd :: 2].any()
