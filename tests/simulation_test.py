"""Laws of a cohort's gradients and training: every way gives the same."""

import dataclasses
import functools
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.data.examples import LOSSES, Example, token_weights
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import scanned, vmapped
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.mesh import Gather, make_mesh
from fedprompt_jax.models import token_loss
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.lpt import LatePrompt
from fedprompt_jax.peft.prompt import Prompt
from tests import plain
from tests.plain import PACKER, P, same

COUNTS = (3, 0, 1, 5, 2)  # owner 1 is absent
ADAM = optax.adam(0.1, b1=0.99)


@pytest.fixture(scope='module')
def simulations(model, lm):
    """loss -> the packed and the vmapped simulation."""
    return {
        loss: (
            PackedSimulation(model, lm.base, PACKER, loss, same),
            VmappedSimulation(model, lm.base, loss, same),
        )
        for loss in LOSSES
    }


@pytest.fixture(scope='module')
def cohort():
    """A bank of 5 owners, and examples that 4 of them have."""
    rng = np.random.default_rng(0)
    bank = plain.random_bank(rng, len(COUNTS), P)
    return bank, plain.random_examples(rng, COUNTS)


@pytest.fixture(scope='module')
def steps():
    """Three steps; owners come and go, and owner 1 is never there."""
    rng = np.random.default_rng(1)
    counts = (COUNTS, (1, 0, 0, 2, 3), (0, 0, 4, 1, 2))
    return [plain.random_examples(rng, c) for c in counts]


@pytest.mark.parametrize('loss', LOSSES)
def test_packed_and_vmapped_are_the_loop_over_clients(
    loss, simulations, cohort, model, lm
):
    losses, grads = plain.gradients(model, lm.base, *cohort, loss)
    assert losses[1] == 0 and (losses[[0, 2, 3, 4]] > 0).all()
    for simulation in simulations[loss]:
        got_losses, got_grads = simulation.gradients(*cohort)
        np.testing.assert_allclose(got_losses, losses, rtol=1e-5)
        plain.assert_owners_close(got_grads, grads, 1e-4)


def test_local_training_is_plain_optax_on_each_client(
    simulations, steps, model, lm
):
    bank = plain.random_bank(np.random.default_rng(2), len(COUNTS), P)
    expected, losses = [], []
    for c, params in plain.owners(bank):
        own = [plain.of(c, examples) for examples in steps]
        params, loss = plain.local_train(
            model, lm.base, ADAM, params, own, 'sequence'
        )
        expected.append(params)
        losses.append(loss)
    expected, losses = plain.stack(expected), np.array(losses).T
    _, first = plain.gradients(model, lm.base, bank, steps[0], 'sequence')
    for simulation in simulations['sequence']:
        start = jax.vmap(ADAM.init)(bank)
        local = simulation.local_train(ADAM, bank, start, steps)
        plain.assert_owners_close(local.bank, expected, 1e-4)
        np.testing.assert_allclose(local.losses, losses, rtol=1e-4)
        np.testing.assert_array_equal(
            np.isnan(local.grad_norms), np.isnan(losses)
        )
        plain.assert_owners_close(local.first_grads, first, 1e-4)
        norms = np.linalg.norm(np.asarray(first['prompt']), axis=(1, 2))
        norms[1] = np.nan
        np.testing.assert_allclose(local.grad_norms[0], norms, rtol=1e-4)
        count = local.opt_state[0].count
        np.testing.assert_array_equal(count, [2, 0, 2, 3, 3])


def prepared_steps(simulation, steps):
    return [simulation.prepare(step) for step in steps]


def test_what_local_training_starts_from_may_be_read_after_it(
    simulations, steps
):
    """Its own bank and optimizers are written over, the caller's are not."""
    bank = plain.random_bank(np.random.default_rng(2), len(COUNTS), P)
    state = jax.vmap(ADAM.init)(bank)
    before = jax.tree.map(np.array, (bank, state))
    for simulation in simulations['sequence']:
        simulation.local_train(ADAM, bank, state, steps)
        for old, now in zip(
            jax.tree.leaves(before),
            jax.tree.leaves((bank, state)),
            strict=True,
        ):
            np.testing.assert_array_equal(old, now)


def test_steps_in_one_program_are_steps_one_by_one(model, lm, steps):
    """One program, and a loop where grids differ."""
    bank = plain.random_bank(np.random.default_rng(2), len(COUNTS), P)
    start = jax.vmap(ADAM.init)(bank)
    ways = [
        PackedSimulation(model, lm.base, PACKER, 'sequence', same, scan)
        for scan in (False, True)
    ]
    with mock.patch.object(scanned, 'train', wraps=scanned.train) as train:
        one_by_one, together = (
            way.local_train(ADAM, bank, start, prepared_steps(way, steps))
            for way in ways
        )
        assert train.call_count == 1
        packer = Packer(P, (Shape(24, 12, tuple(range(1, 12))),))
        other = ways[1].with_packer(packer)
        assert other.scan_steps
        other.local_train(ADAM, bank, start, prepared_steps(other, steps))
        assert train.call_count == 1
    plain.assert_owners_close(together.bank, one_by_one.bank, 1e-5)
    plain.assert_owners_close(
        together.first_grads, one_by_one.first_grads, 1e-5
    )
    for name in ('losses', 'grad_norms'):
        np.testing.assert_allclose(
            getattr(together, name), getattr(one_by_one, name), rtol=1e-5
        )
    for a, b in zip(
        jax.tree.leaves(together.opt_state),
        jax.tree.leaves(one_by_one.opt_state),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


def test_a_batch_prepared_for_other_rows_is_packed_again(model, lm, cohort):
    bank, examples = cohort
    mine, other = (
        PackedSimulation(model, lm.base, packer, 'sequence', same)
        for packer in (PACKER, Packer(P, (Shape(48, 24, (4,)),)))
    )
    ready = mine.prepare(examples)
    assert [*ready] == examples and len(ready) == len(examples)
    with mock.patch.object(Packer, 'pack', side_effect=AssertionError):
        losses, _ = mine.gradients(bank, ready)
    sums = PackedSimulation(model, lm.base, PACKER, 'token', same)
    for simulation in (other, sums):
        np.testing.assert_array_equal(
            simulation.gradients(bank, ready)[0],
            simulation.gradients(bank, examples)[0],
        )
    np.testing.assert_array_equal(losses, mine.gradients(bank, examples)[0])


def test_a_round_of_fedavg_is_its_definition(simulations, steps, model, lm):
    present = [[e for e in s if e.owner != 1] for s in steps]
    cohort = Cohort(np.arange(5), np.array([5, 1, 7, 3, 2]), present)
    bank = plain.random_bank(np.random.default_rng(3), 1, P)
    ((_, params),) = plain.owners(bank)
    server_tx = optax.adam(0.5, b1=0.9)
    ends = [
        plain.local_train(
            model,
            lm.base,
            ADAM,
            params,
            [plain.of(c, s) for s in present],
            'sequence',
        )[0]['prompt']
        for c in range(5)
    ]
    weights = cohort.num_examples / cohort.num_examples.sum()
    mean = sum(
        w * (params['prompt'] - y) for w, y in zip(weights, ends, strict=True)
    )
    updates, _ = server_tx.update(
        {'prompt': mean}, server_tx.init(params), params
    )
    expected = optax.apply_updates(params, updates)
    for simulation in simulations['sequence']:
        algorithm = fedavg.make(
            plain.setup(simulation, ADAM, server_tx, 'examples', params)
        )
        state, _, metrics = algorithm.round(algorithm.init(), None, cohort)
        plain.assert_close(state.params, expected, 1e-4)
        assert int(state.round) == 1
        assert int(metrics['clients_dropped']) == 0
        np.testing.assert_allclose(
            metrics['update_norm'], optax.tree.norm(updates), rtol=1e-4
        )


def test_the_order_of_clients_does_not_matter(simulations, cohort):
    bank, examples = cohort
    order = np.array([3, 1, 4, 0, 2])  # new owner i was order[i]
    place = np.argsort(order)
    moved_bank = jax.tree.map(lambda x: x[order], bank)
    moved = [e._replace(owner=int(place[e.owner])) for e in examples[::-1]]
    simulation, _ = simulations['sequence']
    losses, grads = simulation.gradients(bank, examples)
    moved_losses, moved_grads = simulation.gradients(moved_bank, moved)
    np.testing.assert_allclose(moved_losses, losses[order], rtol=1e-5)
    moved_grads = jax.tree.map(lambda x: x[place], moved_grads)
    plain.assert_owners_close(moved_grads, grads, 1e-5)


@pytest.mark.parametrize(
    ('shapes', 'isolate'),
    [
        ([Shape(32, 16, (4,))], False),
        ([Shape(16, 8, (2, 3)), Shape(48, 12, (3,))], False),
        ([Shape(64, 48, (8,))], True),
    ],
)
def test_rows_and_grids_do_not_matter(
    shapes, isolate, simulations, cohort, model, lm
):
    packer = Packer(P, tuple(shapes))
    other = PackedSimulation(model, lm.base, packer, 'token', same)
    losses, grads = simulations['token'][0].gradients(*cohort)
    got_losses, got_grads = other.gradients_once(*cohort, isolate)
    np.testing.assert_allclose(got_losses, losses, rtol=1e-5)
    plain.assert_owners_close(got_grads, grads, 1e-5)


def test_padding_changes_nothing(cohort, model, lm):
    bank, examples = cohort
    weights = token_weights(examples, 'sequence')
    (grid,) = PACKER.pack(examples, weights)
    wide = [
        np.pad(x, [(0, 3), (0, 16)], constant_values=_padding(name))
        for name, x in grid._asdict().items()
    ]
    ours, grads = grid_gradients(model, lm.base, bank, grid)
    wider, wide_grads = grid_gradients(model, lm.base, bank, type(grid)(*wide))
    np.testing.assert_allclose(wider, ours, rtol=1e-5)
    plain.assert_owners_close(wide_grads, grads, 1e-5)


def _padding(name):
    absent = ('owner', 'slot', 'target_owner', 'target_number')
    return -1 if name in absent else 0


# Of a layer, forward and back: 7 kernels, scores and values (which are computed
# twice always). remat computes each kernel's a third time, remat_mlp two; so
# they do where layers are computed again anyway, because they are gathered or
# because a prompt enters at one in the middle.
@pytest.mark.parametrize(
    'key, form, more',
    [
        ('remat', 'plain', 7),
        ('remat_mlp', 'plain', 2),
        ('remat_mlp', 'gathered', 2),
        ('remat_mlp', 'late', 2),
    ],
)
def test_remat_recomputes_and_gives_the_same(key, form, more, cohort, lm):
    bank, examples = cohort
    (grid,) = PACKER.pack(examples, token_weights(examples, 'sequence'))
    gather = Gather(make_mesh(1, 1)) if form == 'gathered' else None
    kind = LatePrompt(plain.P, 1, 32) if form == 'late' else Prompt(plain.P)
    model = TunedModel(Transformer(lm.config, gather=gather), kind)
    remat = dataclasses.replace(
        model, transformer=Transformer(lm.config, gather=gather, **{key: True})
    )

    def products(model):
        call = functools.partial(grid_gradients, model)
        return str(jax.make_jaxpr(call)(lm.base, bank, grid)).count(' dot_gen')

    added = products(remat) - products(model)
    assert added >= more and (key == 'remat' or added == more)
    ours, grads = grid_gradients(model, lm.base, bank, grid)
    theirs, remat_grads = grid_gradients(remat, lm.base, bank, grid)
    np.testing.assert_allclose(theirs, ours, rtol=1e-6)
    plain.assert_owners_close(remat_grads, grads, 1e-5)


@pytest.mark.parametrize('chunk', [1, 9])
def test_chunks_of_targets_are_the_whole(chunk, monkeypatch, model, lm):
    rng = np.random.default_rng(4)
    hidden = jnp.asarray(rng.normal(size=(3, 12, 32)), jnp.float32)
    index = rng.integers(12, size=(3, 10))
    label = rng.integers(300, size=(3, 10))
    weight = rng.uniform(size=(3, 10))

    def run():
        def loss(hidden):
            bound = model.bind(lm.base, plain.random_bank(rng, 1))
            chosen = jnp.take_along_axis(hidden, index[..., None], axis=1)
            losses = token_loss.token_losses(bound.logits, chosen, label)
            return (weight * losses).sum(), losses

        # A new function each time, so that CHUNK is read again.
        return jax.jit(jax.value_and_grad(loss, has_aux=True))(hidden)

    (_, losses), grads = run()
    monkeypatch.setattr(token_loss, 'CHUNK', chunk)
    (_, chunked), chunked_grads = run()
    assert chunked.shape == (3, 10)
    np.testing.assert_allclose(chunked, losses, rtol=1e-5, atol=1e-6)
    plain.assert_close(chunked_grads, grads, 1e-5)


@pytest.mark.parametrize('rows', [1, 3, 20])
def test_no_more_logits_at_once_than_a_chunk_or_a_column(rows, monkeypatch):
    monkeypatch.setattr(token_loss, 'CHUNK', 12)
    seen = []

    def logits_of(hidden):
        seen.append(hidden.shape[:-1])
        return jnp.zeros((*hidden.shape[:-1], 5))

    label = jnp.zeros((rows, 10), int)
    hidden = jnp.zeros((rows, 10, 2))
    jax.eval_shape(
        lambda h: token_loss.token_losses(logits_of, h, label), hidden
    )
    assert max(np.prod(shape) for shape in seen) <= max(12, rows)


def test_the_base_stays_and_every_trained_leaf_moves(
    simulations, cohort, steps, lm
):
    bank = cohort[0]
    before = [np.array(x) for x in jax.tree.leaves(lm.base)]
    for simulation in simulations['sequence']:
        state = jax.vmap(ADAM.init)(bank)
        local = simulation.local_train(ADAM, bank, state, steps)
        for old, new in zip(
            jax.tree.leaves(bank), jax.tree.leaves(local.bank), strict=True
        ):
            moved = np.asarray(old != new)
            assert moved[[0, 2, 3, 4]].all()
            assert not moved[1].any()  # the absent owner
    for old, leaf in zip(before, jax.tree.leaves(lm.base), strict=True):
        np.testing.assert_array_equal(old, leaf)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_a_non_finite_owner_does_not_touch_its_neighbours(
    bad, simulations, cohort
):
    bank, examples = cohort
    broken = jax.tree.map(lambda x: x.at[3, 0, 0].set(bad), bank)
    for simulation in simulations['sequence']:
        losses, grads = simulation.gradients(bank, examples)
        got_losses, got_grads = simulation.gradients(broken, examples)
        got_losses, losses = np.asarray(got_losses), np.asarray(losses)
        assert np.isnan(got_losses[3])
        assert np.isnan(got_grads['prompt'][3]).any()
        rest = np.array([0, 1, 2, 4])
        np.testing.assert_array_equal(got_losses[rest], losses[rest])
        np.testing.assert_array_equal(
            got_grads['prompt'][rest], grads['prompt'][rest]
        )
    # And at once, not by a second try.
    packed, _ = simulations['sequence']
    _, once = packed.gradients_once(broken, examples)
    assert np.isfinite(once['prompt'][rest]).all()


def test_a_poisonous_example_is_kept_to_its_owner(poisonous):
    model, base = poisonous
    rng = np.random.default_rng(5)
    bank = plain.random_bank(rng, 3, P)
    examples = plain.random_examples(rng, (2, 2, 2))
    bad = Example(1, np.array([299], np.int32), np.array([7], np.int32))
    simulation = PackedSimulation(model, base, PACKER, 'sequence', same)
    _, grads = simulation.gradients_once(bank, [*examples, bad])
    # What isolation is for: 0 * NaN in a shared row.
    assert np.isnan(grads['prompt'][0::2]).any()
    losses, grads = simulation.gradients(bank, [*examples, bad])
    assert np.isnan(losses[1]) and np.isnan(grads['prompt'][1]).any()
    good = [e for e in examples if e.owner != 1]
    good_losses, good_grads = simulation.gradients(bank, good)
    for c in (0, 2):
        np.testing.assert_allclose(losses[c], good_losses[c], rtol=1e-5)
        ours, theirs = (g['prompt'][c] for g in (grads, good_grads))
        plain.assert_close(ours, theirs, 1e-5)
    alone = simulation.losses(bank, [*examples, bad])
    np.testing.assert_allclose(alone, losses, rtol=1e-5)  # NaN is equal to NaN


class Tries(PackedSimulation):
    """Records how it is asked to compute; its gradients are given."""

    def __init__(self, grads) -> None:
        self.model = types.SimpleNamespace(kind=Prompt(P))
        self.grads, self.tries = {'prompt': jnp.array(grads)[:, None]}, []

    def gradients_once(self, bank, examples, isolate=False):
        self.tries.append(isolate)
        return jnp.zeros(len(self.grads['prompt'])), self.grads


@pytest.mark.parametrize(
    ('start', 'grads', 'tries'),
    [
        ((0.0, 0.0), (1.0, 2.0), [False]),
        ((0.0, 0.0), (1.0, np.nan), [False, True]),
        ((0.0, 0.0), (np.inf, np.inf), [False, True]),
        # It was lost before, and is computed with zeros.
        ((0.0, np.nan), (1.0, np.nan), [False]),
    ],
)
def test_one_lost_client_is_enough_for_rows_of_one_owner(start, grads, tries):
    bank = {'prompt': jnp.array(start)[:, None]}
    simulation = Tries(grads)
    simulation.gradients(bank, [])
    assert simulation.tries == tries
    simulation = Tries(grads)
    examples = [Example(c, np.array([1]), np.array([1])) for c in (0, 1)]
    sgd = optax.sgd(1.0)
    simulation.local_train(sgd, bank, jax.vmap(sgd.init)(bank), [examples] * 2)
    assert simulation.tries == [t for t in tries for _ in range(2)]


def test_no_example_at_all_is_an_error(simulations, cohort):
    with pytest.raises(ValueError, match='no example'):
        simulations['sequence'][0].gradients(cohort[0], [])


def test_padded_batches_name_their_present_owners(model):
    examples = plain.random_examples(np.random.default_rng(6), COUNTS)
    batch = vmapped.pad_batches(
        model.packer(), [examples], len(COUNTS), 'token'
    )
    np.testing.assert_array_equal(batch.present[:, 0], [c > 0 for c in COUNTS])
    weight = batch.grid.target_weight
    assert not weight[1].any()
    np.testing.assert_allclose(
        weight.sum((1, 2, 3)), [1, 0, 1, 1, 1], rtol=1e-6
    )
