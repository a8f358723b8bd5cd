"""Adapters of random numbers, made, saved and read by HF PEFT."""

from collections.abc import Iterator
from pathlib import Path
import shutil
import tempfile

import numpy as np
import peft
from safetensors import numpy as safetensors
import torch
import transformers

from fedprompt_jax.data.examples import Example
from tests import tiny
from tests.parity import adapters, table
from tests.parity.adapters import ALPHA, LENGTH, NAME, RANK
from tests.parity.kinds import restore
from tests.parity.theirs import Theirs, mean_loss, pad

_TASK = {'task_type': peft.TaskType.CAUSAL_LM}
_DEVIATIONS = {'prefix': 0.5, 'lora': 0.2, 'ia3': 0.3}
FILES = ('adapter_config.json', 'adapter_model.safetensors')


def configs() -> dict[str, peft.PeftConfig]:
    """The adapters in PEFT's words, the layers by their last names."""
    return {
        'prefix': peft.PrefixTuningConfig(num_virtual_tokens=LENGTH, **_TASK),
        'lora': peft.LoraConfig(
            target_modules=['q_proj', 'v_proj', 'down_proj'],
            r=RANK,
            lora_alpha=ALPHA,
            **_TASK,
        ),
        'ia3': peft.IA3Config(
            target_modules=['k_proj', 'v_proj', 'down_proj'],
            feedforward_modules=['down_proj'],
            **_TASK,
        ),
    }


def make(folder: Path) -> dict[str, list[float]]:
    """Writes a folder for each adapter; returns adapters.read_losses."""
    with tempfile.TemporaryDirectory() as scratch:
        model = Theirs(tiny.make_checkpoint(Path(scratch))).model
    losses = {}
    for name, config in configs().items():
        theirs = peft.get_peft_model(model, config).eval()
        randomise(theirs, name)
        losses[name] = [
            mean_loss(theirs, [e], 'sequence').item()
            for e in adapters.examples()
        ]
        save(theirs, folder / name)
        restore(theirs)
    rows = safetensors.load_file(folder / 'prefix' / FILES[1])
    (rows,) = rows.values()
    losses['prefix, kept'] = [
        kept_loss(model, rows, e) for e in adapters.examples()
    ]
    return losses


def randomise(model: peft.PeftModel, name: str) -> None:
    """Sets what is trained to random numbers of a fixed seed."""
    rng = np.random.default_rng(0)
    for value in model.parameters():
        if value.requires_grad:
            random = rng.normal(name == 'ia3', _DEVIATIONS[name], value.shape)
            value.data = torch.tensor(random, dtype=torch.float32)


def save(model: peft.PeftModel, folder: Path) -> None:
    """PEFT's files, without the path of the base model."""
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            shutil.copyfile(Path(scratch) / file, folder / file)
    tiny.edit_json(folder / FILES[0], base_model_name_or_path='base')


def kept_loss(model, rows: np.ndarray, e: Example) -> float:
    """A loss behind a prefix, the text beginning at position 0."""
    c = model.config
    shape = (LENGTH, c.num_hidden_layers, 2, c.num_key_value_heads, c.head_dim)
    past = transformers.DynamicCache()
    for layer, both in enumerate(rows.reshape(shape).transpose(1, 2, 3, 0, 4)):
        key, value = (torch.tensor(x[None]) for x in both)  # [1, K, P, h]
        past.update(key, value, layer)
    tokens = pad([e.tokens], 0)
    logits = model(
        input_ids=tokens,
        attention_mask=torch.ones(1, LENGTH + tokens.shape[1]),
        position_ids=torch.arange(tokens.shape[1])[None],
        past_key_values=past,
    ).logits[0, e.target_index]
    target = torch.tensor(e.target, dtype=torch.int64)
    loss = torch.nn.functional.cross_entropy(logits, target, reduction='sum')
    return loss.item()


def write_golden() -> None:
    """Writes them for adapters_test."""
    tiny.write_json(adapters.LOSSES, make(adapters.FOLDER))
    files = [f for f in adapters.FOLDER.rglob('*') if f.is_file()]
    size = sum(f.stat().st_size for f in files) / 1024
    print(f'{adapters.FOLDER}: {size:.0f} KB')


def compare() -> Iterator[table.Row]:
    """The stored adapters against those of PEFT and PyTorch of today."""
    stored = adapters.read_losses()
    with tempfile.TemporaryDirectory() as scratch:
        for name, losses in make(Path(scratch)).items():
            what = f'{NAME}: stored {name}'
            yield table.relative(
                'golden', f'{what}, losses', [stored[name]], [losses], 1e-4
            )
        for name in configs():
            what = f'{NAME}: stored {name}, names and shapes'
            pairs = (adapters.FOLDER / name, Path(scratch) / name)
            then, now = map(shapes, pairs)
            yield table.differing('golden', what, [*then], [*now])


def shapes(folder: Path) -> list[str]:
    """Each tensor's name and shape, in words."""
    tensors = safetensors.load_file(folder / FILES[1])
    return sorted(f'{name} {x.shape}' for name, x in tensors.items())
