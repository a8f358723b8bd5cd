"""How close two models' distributions are, by plain NumPy."""

import jax
import numpy as np
import pytest
import scipy.special

from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation import closeness as closeness_lib
from fedprompt_jax.evaluation.closeness import Reader, closeness
from fedprompt_jax.models import auxiliary
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from tests import plain, plain_kinds
from tests.exhaustive import beyond


@pytest.fixture(scope='module')
def readers(lm):
    """The full model and one whose first layer is repeated, one prompt."""
    bank = plain.random_bank(np.random.default_rng(0), 1)
    small = auxiliary.config(lm.config, 0, 1, shared=True)
    kind = Prompt(plain.P)
    return (
        Reader(TunedModel(Transformer(lm.config), kind), lm.base, bank),
        Reader(
            TunedModel(Transformer(small), kind),
            auxiliary.params(lm.base, 0, 1),
            bank,
        ),
    )


@pytest.fixture(scope='module')
def examples():
    return plain.random_examples(np.random.default_rng(1), (7,))


def pack(reader, examples):
    """Grids of one row, of which the last is not full."""
    packer = reader.model.packer(Shape(40, 16, (1,)))
    grids = packer.pack(examples, [1.0] * len(examples))
    assert len(grids) > 1
    return grids


def log_p(reader, e):
    """Log p [t, V] at an example's targets, in f64."""
    own = jax.tree.map(lambda x: x[0], reader.bank)
    logits = plain_kinds.target_logits(reader.model, reader.base, own, e)
    return scipy.special.log_softmax(np.float64(logits), axis=-1)


# Three targets at once, or all.
@pytest.mark.parametrize('chunk', beyond([6], [6, 4096]))
def test_it_is_that_of_numpy(readers, examples, chunk, monkeypatch):
    monkeypatch.setattr(closeness_lib, 'CHUNK', chunk)
    jax.clear_caches()
    p, q = (np.concatenate([log_p(r, e) for e in examples]) for r in readers)
    got = closeness(*readers, pack(readers[0], examples))
    kl = scipy.special.rel_entr(np.exp(p), np.exp(q)).sum(axis=-1).mean()
    assert got.kl == pytest.approx(kl, rel=1e-4)
    equal = p.argmax(axis=-1) == q.argmax(axis=-1)
    assert got.agreement == pytest.approx(equal.mean())
    assert 0 < equal.mean() < 1
    assert got.tokens == len(p)


def test_a_model_is_close_to_itself(readers, examples):
    full = readers[0]
    kl, agreement, _ = closeness(full, full, pack(full, examples))
    assert kl == pytest.approx(0, abs=1e-6)
    assert agreement == 1


def test_models_that_read_other_grids(readers, examples):
    full, small = readers
    bare = small._replace(model=TunedModel(small.model.transformer, Nothing()))
    with pytest.raises(ValueError, match=r'grids of \(3, 3\) and \(0, 0\)'):
        closeness(full, bare, pack(full, examples))
    with pytest.raises(ValueError, match='there are no grids'):
        closeness(full, small, [])
