"""Laws of generation: the cache, the batch and the padding are not seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.evaluation import decoding, generation
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.models import source
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from tests import plain, tiny_families

OWNERS = 4
NEW = 6
LENGTHS = (1, 3, 9, 16, 20, 5, 2, 16, 12)  # padded to 16 and to 24
NEVER = (299,)  # an end token that random weights do not choose here


@pytest.fixture(scope='module')
def bank():
    rng = np.random.default_rng(0)
    # Large prompts, so that owners answer differently.
    return jax.tree.map(lambda x: 2 * x, plain.random_bank(rng, OWNERS))


@pytest.fixture(scope='module')
def queries():
    rng = np.random.default_rng(1)
    return [
        Query(i % OWNERS, rng.integers(5, 290, n).astype(np.int32))
        for i, n in enumerate(LENGTHS)
    ]


@pytest.fixture(scope='module')
def generate(model, lm):
    """(bank, queries) -> outputs, with some end tokens and batch size."""

    def call(bank, queries, eos_ids=NEVER, batch_size=4, new=NEW):
        generator = Generator(
            model,
            lm.base,
            eos_ids=eos_ids,
            max_new_tokens=new,
            batch_size=batch_size,
            place_rows=plain.same,
        )
        return [list(o) for o in generator(bank, queries)]

    return call


def naively(model, base, bank, query, new):
    """A whole forward pass for every token of a query's output."""
    params = jax.tree.map(lambda x: x[query.owner], bank)
    tokens = list(query.tokens)
    for _ in range(new):
        padded = np.zeros(32, np.int32)  # behind a causal mask
        padded[: len(tokens)] = tokens
        rows = plain.logits(model, base, params, padded)
        tokens.append(int(jnp.argmax(rows[plain.P + len(tokens) - 1])))
    return tokens[len(query.tokens) :]


@pytest.fixture(scope='module')
def naive(model, lm, bank, queries):
    return [naively(model, lm.base, bank, query, NEW) for query in queries]


def test_cached_greedy_is_a_forward_pass_for_every_token(
    generate, naive, bank, queries
):
    assert len({tuple(o) for o in naive}) > len(naive) // 2  # they differ
    assert generate(bank, queries) == naive


def test_a_window_ends_as_far_behind_an_output_in_any_batch(
    bank, queries, tmp_path
):
    """Outputs are longer than the window, and the queries differ in length."""
    folder = tiny_families.make_checkpoint(tmp_path, 'mistral')
    lm = source.load(folder, jnp.float32)
    model = TunedModel(Transformer(lm.config), Prompt(plain.P))
    new = tiny_families.WINDOW + 4
    generator = Generator(
        model,
        lm.base,
        eos_ids=NEVER,
        max_new_tokens=new,
        batch_size=3,
        place_rows=plain.same,
    )
    chosen = queries[:2] + queries[4:5]
    for query, output in zip(chosen, generator(bank, chosen), strict=True):
        expected = naively(model, lm.base, bank, query, new)
        assert list(output) == expected


@pytest.mark.parametrize('batch_size', [1, 9])
def test_the_batch_does_not_matter(batch_size, generate, naive, bank, queries):
    order = np.random.default_rng(2).permutation(len(queries))
    shuffled = [queries[i] for i in order]
    outputs = generate(bank, shuffled, batch_size=batch_size)
    assert outputs == [naive[i] for i in order]


def test_the_number_of_owners_does_not_matter(generate, naive, bank, queries):
    few = jax.tree.map(lambda x: x[1:3], bank)
    chosen = [i for i, q in enumerate(queries) if q.owner in (1, 2)]
    moved = [queries[i]._replace(owner=queries[i].owner - 1) for i in chosen]
    assert generate(few, moved) == [naive[i] for i in chosen]


def test_an_end_token_stops_its_own_row_and_is_left_out(
    generate, naive, bank, queries
):
    # The first token of one output and the third of another end a text.
    ends = (naive[0][0], naive[5][2])

    def cut(output):
        places = [i for i, token in enumerate(output) if token in ends]
        return output[: places[0]] if places else output

    expected = [cut(o) for o in naive]
    assert expected[0] == [] and NEW in map(len, expected)
    assert len(expected[5]) == 2
    assert generate(bank, queries, ends) == expected


class Counting:
    """A model of one row, whose nth token is n; it counts its steps."""

    def __init__(self):
        self.steps = 0

    def logits(self, hidden):
        return jax.nn.one_hot(hidden[:, 0].astype(int), 9)

    def advance(self, step, last, written):
        def count():
            self.steps += 1

        jax.debug.callback(count)
        return jnp.full((1, 1, 1), step), (jnp.zeros((1, 1, 1, 1, 1)),) * 2


def test_decoding_stops_when_all_have_ended():
    """At any of the end tokens, of which chat models have several."""
    model = Counting()
    tokens = decoding.write(
        model,
        jnp.zeros((1, 1, 1)),
        jnp.zeros(1, bool),
        (jnp.zeros((1, 1, 1, 1, 1)),) * 2,
        model.advance,
        (8, 3),
        7,
    )
    jax.effects_barrier()
    assert tokens.tolist() == [[0, 1, 2, 3, 8, 8, 8]]
    assert model.steps == 3


def test_fewer_new_tokens_are_a_beginning(generate, naive, bank, queries):
    short = generate(bank, queries[:3], new=1)
    assert short == [o[:1] for o in naive[:3]]


def test_no_query_has_no_output(generate, bank):
    assert generate(bank, []) == []


def test_lengths_are_compiled_for_twice_an_octave():
    padded = [generation.padded_length(n) for n in range(1, 1025)]
    assert all(p >= n for n, p in enumerate(padded, start=1))
    assert all(p <= 1.5 * n for n, p in enumerate(padded, start=1) if n > 16)
    assert sorted(set(padded)) == [
        16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024,
    ]  # fmt: skip


def cost(found, new):
    return sum(
        rows * (length + new) + generation.STEP * new for rows, length in found
    )


@pytest.mark.parametrize('multiple', [1, 3])
def test_batches_are_the_cheapest_of_all_choices(multiple):
    """Against every sequence of batches that there is."""
    rng = np.random.default_rng(0)
    sizes = {-(-n // multiple) * multiple for n in (8, 4, 2, 1)}

    def all_choices(lengths):
        if not lengths:
            yield []
            return
        length = generation.padded_length(lengths[0])
        for rows in sizes:
            for rest in all_choices(lengths[rows:]):
                yield [(rows, length), *rest]

    for _ in range(5):
        lengths = sorted(rng.integers(1, 200, 9).tolist(), reverse=True)
        found = generation.batches(lengths, 8, 10**6, 10, multiple)
        least = min(cost(other, 10) for other in all_choices(lengths))
        assert cost(found, 10) == least


def test_a_batch_holds_its_queries_and_no_more_tokens_than_allowed():
    rng = np.random.default_rng(0)
    lengths = sorted(rng.integers(1, 300, 200).tolist(), reverse=True)
    at = 0
    for rows, length in generation.batches(lengths, 32, 1024, 10):
        assert all(n <= length for n in lengths[at : at + rows])
        assert rows == 1 or rows * length <= 1024
        at += rows
    assert at >= len(lengths)
