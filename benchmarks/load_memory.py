"""Host memory of loading a random Llama of 1.1B parameters, against its size.

    python -m benchmarks.load_memory [--json] [--dir=/tmp]

Writes the checkpoint in bf16 shards (2.2 GB, deleted at the end) and loads it
in processes of their own: on one device, and on a mesh of 2 x 4. On a CPU the
parameters are host memory too, so the overhead is

    peak - before loading - the parameters on all devices

of anonymous memory (RssAnon). Pages of the mapped files (RssFile) stand apart:
the kernel takes them back when it needs them. Linux only: /proc/self/status.
"""

from collections.abc import Iterator
import json
from pathlib import Path
import sys
import tempfile
import threading
import time
from typing import Any

from absl import flags
import ml_dtypes
import numpy as np

from benchmarks import children

_DIR = flags.DEFINE_string('dir', None, 'Where the checkpoint is written.')
_LAYERS = flags.DEFINE_integer('layers', 22, 'Layers.')
_WIDTH = flags.DEFINE_integer('width', 2048, 'Width, 64 a head.')
_MLP = flags.DEFINE_integer('mlp', 5632, 'Hidden size of the MLP.')
_VOCAB = flags.DEFINE_integer('vocab', 32000, 'Vocabulary.')
_SHARDS = flags.DEFINE_integer('shards', 5, 'Files of the checkpoint.')
_FOLDER = flags.DEFINE_string('folder', None, 'Internal: the checkpoint.')

_MESHES = ('1x1', '2x4')  # data x model
_SAMPLE_SECONDS = 0.002


def main() -> None:
    with tempfile.TemporaryDirectory(dir=_DIR.value) as name:
        size = write_checkpoint(Path(name))
        flags_given = [*sys.argv[1:], f'--folder={name}']
        runs = [
            children.run(__spec__.name, mesh, flags_given) for mesh in _MESHES
        ]
    result = {'checkpoint_bytes': size, 'runs': runs}
    print(json.dumps(result) if children.JSON.value else table(result))


def write_checkpoint(folder: Path) -> int:
    """A Llama in Hugging Face's layout, shard by shard; returns its bytes."""
    from safetensors import numpy as safetensors
    import tokenizers
    from tokenizers import models

    heads = _WIDTH.value // 64
    config = {
        'model_type': 'llama',
        'vocab_size': _VOCAB.value,
        'hidden_size': _WIDTH.value,
        'intermediate_size': _MLP.value,
        'num_hidden_layers': _LAYERS.value,
        'num_attention_heads': heads,
        'num_key_value_heads': max(1, heads // 8),
        'tie_word_embeddings': False,
        'eos_token_id': 0,
    }
    (folder / 'config.json').write_text(json.dumps(config))
    words = tokenizers.Tokenizer(models.BPE({'</s>': 0}, []))
    words.save(str(folder / 'tokenizer.json'))
    rng = np.random.default_rng(0)
    shapes = list(tensor_shapes(config))
    weight_map, count = {}, _SHARDS.value
    for i in range(count):
        file = f'model-{i + 1:05d}-of-{count:05d}.safetensors'
        part = {
            name: (rng.standard_normal(shape, np.float32) * 0.02).astype(
                ml_dtypes.bfloat16
            )
            for name, shape in shapes[i::count]
        }
        safetensors.save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = folder / 'model.safetensors.index.json'
    index.write_text(json.dumps({'weight_map': weight_map}))
    return sum(path.stat().st_size for path in folder.glob('*.safetensors'))


def tensor_shapes(config: dict) -> Iterator[tuple[str, tuple[int, ...]]]:
    """All tensors of the checkpoint."""
    width, mlp = config['hidden_size'], config['intermediate_size']
    keys = 64 * config['num_key_value_heads']
    yield 'model.embed_tokens.weight', (config['vocab_size'], width)
    layer = {
        'input_layernorm': (width,),
        'self_attn.q_proj': (width, width),
        'self_attn.k_proj': (keys, width),
        'self_attn.v_proj': (keys, width),
        'self_attn.o_proj': (width, width),
        'post_attention_layernorm': (width,),
        'mlp.gate_proj': (mlp, width),
        'mlp.up_proj': (mlp, width),
        'mlp.down_proj': (width, mlp),
    }
    for i in range(config['num_hidden_layers']):
        for name, shape in layer.items():
            yield f'model.layers.{i}.{name}.weight', shape
    yield 'model.norm.weight', (width,)
    yield 'lm_head.weight', (config['vocab_size'], width)


def measure(part: str) -> dict[str, Any]:
    """Bytes and seconds of loading --folder in bf16 on a mesh, in here."""
    import jax

    folder, mesh = Path(_FOLDER.value), [int(n) for n in part.split('x')]
    jax.config.update('jax_platforms', 'cpu')
    jax.config.update('jax_num_cpu_devices', mesh[0] * mesh[1])
    from fedprompt_jax import mesh as mesh_lib
    from fedprompt_jax.models import source
    from fedprompt_jax.models.sizes import base_leaves

    leaves = base_leaves(source.read_config(folder), 'bfloat16')
    sharding = mesh_lib.base_sharding(mesh_lib.make_mesh(*mesh), leaves)
    jax.block_until_ready(jax.numpy.zeros(8))  # the backend is up
    with Peak() as peak:
        start = time.perf_counter()
        base = source.load(folder, 'bfloat16', sharding).base
        seconds = time.perf_counter() - start
    leaves, _ = jax.tree_util.tree_flatten_with_path(base)
    shards = [s.data.nbytes for _, x in leaves for s in x.addressable_shards]
    for path, leaf in leaves:
        assert leaf.sharding == sharding('/'.join(k.key for k in path)), path
    return {
        'mesh': mesh,
        'parameter_bytes': sum(x.nbytes for _, x in leaves),
        'bytes_on_devices': sum(shards),
        'largest_leaf_bytes': max(x.nbytes for _, x in leaves),
        'overhead_bytes': peak.anonymous - peak.before - sum(shards),
        'mapped_file_bytes': peak.mapped,
        'seconds': round(seconds, 2),
    }


class Peak:
    """Watches this process's memory from a thread.

    Attributes:
      before: anonymous bytes at the start.
      anonymous: most anonymous bytes seen.
      mapped: most bytes of mapped files seen.
    """

    def __enter__(self) -> 'Peak':
        self.before, self.mapped = memory()
        self.anonymous = self.before
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            anonymous, mapped = memory()
            self.anonymous = max(self.anonymous, anonymous)
            self.mapped = max(self.mapped, mapped)


def memory() -> tuple[int, int]:
    """Resident bytes now: anonymous, and of mapped files."""
    with open('/proc/self/status') as file:
        fields = dict(line.split(':', 1) for line in file)
    return tuple(  # type: ignore[return-value]  # of two
        1024 * int(fields[key].split()[0]) for key in ('RssAnon', 'RssFile')
    )


def table(result: dict[str, Any]) -> str:
    """The result as text, in MB."""
    rows = [
        ('mesh', lambda r: ' x '.join(map(str, r['mesh']))),
        *(
            (key.removesuffix('_bytes'), lambda r, k=key: f'{r[k] / 1e6:.0f}')
            for key in result['runs'][0]
            if 'bytes' in key
        ),
        ('seconds', lambda r: f'{r["seconds"]:.1f}'),
    ]
    lines = [f'checkpoint: {result["checkpoint_bytes"] / 1e6:.0f} MB; in MB:']
    for name, value in rows:
        cells = ''.join(f'{value(run):>10}' for run in result['runs'])
        lines.append(f'{name.replace("_", " "):20}{cells}')
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main, measure)
