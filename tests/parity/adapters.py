"""Adapters that HF PEFT made, with PyTorch's losses; no torch in this file.

peft_adapters.py writes them to tests/golden/adapters: folders as PEFT saves
them, their tensors at random, and the losses of a few examples by PEFT's
forward pass on a tiny Llama.
"""

from pathlib import Path

import jax
import numpy as np

from configs import fedavg_adam
from fedprompt_jax import peft
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import Kind, ModelInfo, Params
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.models import families, source
from fedprompt_jax.models.sizes import param_shapes
from fedprompt_jax.models.transformer import Transformer
from tests import tiny
from tests.parity import cases, golden

NAME = 'adapters'
FOLDER = golden.FOLDER / NAME
LOSSES = FOLDER / 'losses.json'
LENGTH, RANK, ALPHA = 3, 2, 6
# What config.peft and its section say. PEFT has no prefix of kept positions:
# those losses are of transformers, with the prefix as past keys and values.
CONFIGS = {
    'prefix': ('prefix', {'length': LENGTH}),
    'prefix, kept': ('prefix', {'length': LENGTH, 'positions': 'kept'}),
    'lora': (
        'lora',
        {
            'targets': 'q_proj|v_proj|down_proj',
            'rank': RANK,
            'alpha': float(ALPHA),
        },
    ),
    'ia3': ('ia3', {'outputs': 'k_proj|v_proj', 'inputs': 'down_proj'}),
}


def examples() -> list[Example]:
    """Ragged examples, each of an owner of its own."""
    sizes = [(0, 5, 3), (1, 9, 1), (2, 1, 6), (3, 14, 4)]
    return cases.random_examples(sizes)


def load(folder: Path) -> source.LanguageModel:
    """Writes the tiny Llama, and loads it."""
    return source.load(tiny.make_checkpoint(folder), 'float32')


def make_kind(name: str, lm: source.LanguageModel) -> Kind:
    """The kind of CONFIGS[name], as a run makes it."""
    config = fedavg_adam.get_config()
    kind, settings = CONFIGS[name]
    config[kind].update(settings)
    names = families.names(lm.hf_config)
    base = ModelInfo(lm.config, names, param_shapes(lm.config))
    return peft.get(kind).make(config, base)


def our_losses(
    lm: source.LanguageModel, kind: Kind, params: Params
) -> np.ndarray:
    """What read_losses has of a name, in packed rows."""
    model, asked = TunedModel(Transformer(lm.config), kind), examples()
    packer = model.packer(Shape(48, 16, (2,)))
    simulation = PackedSimulation(
        model, lm.base, packer, 'sequence', jax.device_put
    )
    bank = replicate(params, len(asked))
    return np.asarray(simulation.gradients(bank, asked)[0])


def folder_of(name: str) -> Path:
    """The adapter of CONFIGS[name] as PEFT saved it."""
    return FOLDER / CONFIGS[name][0]


def read_losses() -> dict[str, list[float]]:
    """By name, the sum of -log p over each example's target, by PyTorch."""
    return tiny.read_json(LOSSES)
