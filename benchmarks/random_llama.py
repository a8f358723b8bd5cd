"""Writes a Llama of any size with random weights, to measure speed with.

    python -m benchmarks.random_llama FOLDER [--width=2048 --layers=16]
        [--heads=32 --kv_heads=8 --mlp_width=8192] [--weights=bfloat16]
        [--model=LLAMA]

The sizes that are not given are those of Llama 3.2 1B but for the vocabulary:
tokenizer and config come from --model (SmolLM2), a Llama. FOLDER is then the
--model of the other benchmarks.
"""

from pathlib import Path
import shutil

from absl import app, flags

from benchmarks import children
from tests import tiny

_WIDTH = flags.DEFINE_integer('width', 2048, 'D.')
_LAYERS = flags.DEFINE_integer('layers', 16, 'Number of layers.')
_HEADS = flags.DEFINE_integer('heads', 32, 'Query heads.')
_KV_HEADS = flags.DEFINE_integer('kv_heads', 8, 'Key heads.')
_MLP = flags.DEFINE_integer('mlp_width', 8192, 'Of the gated MLP.')
_WEIGHTS = flags.DEFINE_string('weights', 'bfloat16', 'Type of the weights.')

DEVIATION = 0.02  # of a weight, as Llama is initialised


def main(argv: list[str]) -> None:
    from fedprompt_jax.models import source
    from fedprompt_jax.models.sizes import num_params

    if len(argv) != 2:
        raise app.UsageError('give one folder to write to')
    folder = Path(argv[1])
    like = source.resolve(children.MODEL.value, children.cache())
    if tiny.read_json(like / 'config.json').get('model_type') != 'llama':
        raise app.UsageError(f'--model={children.MODEL.value} is no Llama')
    if folder.exists():
        raise app.UsageError(f'{folder} exists: give a new folder')
    shutil.copytree(
        like, folder, ignore=shutil.ignore_patterns('*.safetensors*')
    )
    tiny.edit_json(
        folder / 'config.json',
        hidden_size=_WIDTH.value,
        num_hidden_layers=_LAYERS.value,
        num_attention_heads=_HEADS.value,
        num_key_value_heads=_KV_HEADS.value,
        head_dim=_WIDTH.value // _HEADS.value,
        intermediate_size=_MLP.value,
        torch_dtype=_WEIGHTS.value,
    )
    config = tiny.read_json(folder / 'config.json')
    tensors = tiny.random_tensors(config, seed=0, deviation=DEVIATION)
    tiny.save_tensors(folder, tiny.cast(tensors, _WEIGHTS.value))
    count = num_params(source.read_config(folder))
    print(f'{folder}: {count:,} parameters')


if __name__ == '__main__':
    app.run(main)
