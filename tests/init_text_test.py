"""A prompt that starts as a text is read as that text, by every family."""

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import pytest

from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_losses
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.experiment.build import initial_params
from fedprompt_jax.models import source
from fedprompt_jax.models.input_embeddings import InputEmbeddings
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from tests import plain, tiny, tiny_families, tiny_gguf
from tests.exhaustive import beyond
from tests.parity import cases

TEXT = 'answer the question'


def loss_of(lm, kind, bank, example):
    """Sum of -log p over the target of one example."""
    model = TunedModel(Transformer(lm.config), kind)
    packer = model.packer(Shape(64, 8, (1,)))
    (grid,) = packer.pack([example], [1.0])
    losses = np.asarray(grid_losses(model, lm.base, bank, grid))
    return losses[grid.target_number >= 0].sum()


def compare(folder, dtype='float32', quantization=''):
    """Losses of a query behind a prompt of TEXT, and of text + query."""
    lm = source.load(folder, dtype, None, quantization)
    (words,) = lm.tokenizer.encode_batch([TEXT], False)
    kind = Prompt(len(words), 'text', 1.0, TEXT)
    params = initial_params(config_dict.ConfigDict({'seed': 0}), lm, kind)
    bank = {'prompt': params['prompt'][None]}
    (example,) = cases.random_examples([(0, 7, 3)])
    whole = example._replace(query=np.array([*words, *example.query]))
    objective = lm.config.objective
    if objective != 'causal_lm':
        example = cases.place_targets(example, objective)
        at = example.at + len(words)
        whole = whole._replace(target=example.target, at=at)
    behind = loss_of(lm, kind, bank, example)
    nothing = replicate(Nothing().init(None), 1)
    return behind, loss_of(lm, Nothing(), nothing, whole)


@pytest.mark.parametrize(
    'name',
    beyond(
        ('llama', 'gemma3', 'gpt2', 'opt', 'roberta', 't5'),
        ['llama', *tiny_families.CONFIGS],
    ),
)
def test_a_prompt_of_a_text_is_the_text(name, tmp_path):
    if name == 'llama':
        tiny.make_checkpoint(tmp_path)
    else:
        tiny_families.make_checkpoint(tmp_path, name)
    np.testing.assert_allclose(*compare(tmp_path), rtol=2e-6)


@pytest.mark.parametrize(
    ('dtype', 'quantization'), [('bfloat16', ''), ('float32', 'int8')]
)
def test_also_of_a_rounded_model(dtype, quantization, tmp_path):
    tiny_families.make_checkpoint(tmp_path, 'gemma2')
    tolerance = 1e-2 if dtype == 'bfloat16' else 2e-6
    losses = compare(tmp_path, dtype, quantization)
    np.testing.assert_allclose(*losses, rtol=tolerance)


GGUF = {
    'gemma': True, 'gemma2': True, 'gemma3': True, 'llama_linear': False,
    'qwen3': False, 'gpt2': False, 'pythia': False,
}  # fmt: skip


@pytest.mark.parametrize(('name', 'sentencepiece'), GGUF.items())
def test_also_of_a_gguf_file(name, sentencepiece, tmp_path):
    folder = tiny_gguf.make_checkpoint(tmp_path / 'hf', name)
    pieces = tiny_gguf.sentencepiece(tiny.TEXT) if sentencepiece else None
    path = tiny_gguf.write(tmp_path / f'{name}.gguf', folder, pieces=pieces)
    there = source.resolve(str(path), tmp_path / 'cache')
    np.testing.assert_allclose(*compare(there), rtol=2e-6)


def test_drawn_tokens_are_what_the_model_reads_too(tmp_path):
    tiny_families.make_checkpoint(tmp_path, 'gemma')
    lm = source.load(tmp_path, 'float32')
    config = config_dict.ConfigDict({'seed': 0})
    kind = Prompt(plain.P, 'vocabulary')
    prompt = np.asarray(initial_params(config, lm, kind)['prompt'])
    model = Transformer(lm.config)
    every = model.apply(
        {'params': lm.base}, np.arange(300), method='embed_tokens'
    )
    for row in prompt:
        assert (np.abs(np.asarray(every) - row).max(axis=1) == 0).any()


def test_a_text_without_a_token_is_refused(tmp_path):
    lm = source.load(tiny.make_checkpoint(tmp_path), 'float32')
    config = config_dict.ConfigDict({'seed': 0})
    with pytest.raises(ValueError, match=r"config\.prompt\.text='' has no"):
        initial_params(config, lm, Prompt(3, 'text', 1.0, ''))


def test_rows_of_the_table_are_f32_and_end_with_it(lm):
    rows = InputEmbeddings(Transformer(lm.config), lm.base)
    assert rows.shape == (300, 32)
    assert rows[np.array([299])].shape == (1, 32)
    rounded = jax.tree.map(lambda x: x.astype(jnp.bfloat16), lm.base)
    for base in (lm.base, rounded):
        row = InputEmbeddings(Transformer(lm.config), base)[np.array([299])]
        assert row.dtype == jnp.float32  # what is trained is never rounded
    with pytest.raises(IndexError, match='300 of 300 tokens'):
        rows[np.array([5, 300])]
