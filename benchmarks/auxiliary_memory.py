"""Memory of FedSP, whose clients keep a model each: GPT2-XL's shapes.

    python -m benchmarks.auxiliary_memory [--clients=10] [--layers=48]
        [--width=1600] [--heads=25] [--memory_gb=0] [--json] [--dir=/tmp]

Writes a GPT-2 of these sizes with random weights in bfloat16 and a small table
(deleted at the end), and runs two rounds of one step with no distillation. A
client keeps its model and three times as many numbers of optimizers and
moments; --memory_gb of rows stay in memory, the rest lies in files. On a CPU
the peak is that of the host and of the device together. Needs about three
times the rows of all clients on the disk: 45 GB for the sizes above.
"""

import json
from pathlib import Path
import resource
import sys
import tempfile
from typing import Any

from absl import flags

from benchmarks import children

_CLIENTS = flags.DEFINE_integer('clients', 10, 'All take part in each round.')
_LAYERS = flags.DEFINE_integer('layers', 48, 'Layers.')
_WIDTH = flags.DEFINE_integer('width', 1600, 'Width.')
_HEADS = flags.DEFINE_integer('heads', 25, 'Heads.')
_VOCAB = flags.DEFINE_integer('vocab', 50257, 'Vocabulary.')
_MEMORY = flags.DEFINE_float('memory_gb', 0.0, 'config.client_store.memory_gb.')
_DIR = flags.DEFINE_string('dir', None, 'Where files are written.')
_FOLDER = flags.DEFINE_string('folder', None, 'Internal: model and table.')

_WORDS = ('river', 'passage', 'review', 'question', 'answer')


def main() -> None:
    with tempfile.TemporaryDirectory(dir=_DIR.value) as name:
        _write_model(Path(name) / 'model')
        _write_table(Path(name) / 'sciq')
        given = [*sys.argv[1:], f'--folder={name}']
        result = children.run(__spec__.name, 'run', given)
    print(json.dumps(result) if children.JSON.value else _table(result))


def _write_model(folder: Path) -> None:
    from tests import tiny, tiny_families

    tiny_families.make_checkpoint(folder, 'gpt2')
    tiny.edit_json(
        folder / 'config.json',
        n_embd=_WIDTH.value,
        n_layer=_LAYERS.value,
        n_head=_HEADS.value,
        n_inner=4 * _WIDTH.value,
        vocab_size=_VOCAB.value,
        n_positions=1024,
        torch_dtype='bfloat16',
    )
    config = tiny.read_json(folder / 'config.json')
    tensors = tiny_families.random_tensors(config)
    tiny.save_tensors(folder, tiny.cast(tensors, 'bfloat16'))


def _write_table(folder: Path) -> None:
    folder.mkdir()
    for name in ('train', 'validation', 'test'):
        count = 4 * (_CLIENTS.value + 1)
        rows = [
            {
                'question': f'what is the name of the {_WORDS[i % 5]} {i}',
                'support': '',
                'distractor1': 'a',
                'distractor2': 'b',
                'distractor3': 'c',
                'correct_answer': f'{name} {i}',
            }
            for i in range(count)
        ]
        lines = ''.join(json.dumps(row) + '\n' for row in rows)
        (folder / f'{name}.jsonl').write_text(lines)


def _measure(part: str) -> dict[str, Any]:
    """Runs FedSP in this process; what it took."""
    del part
    from configs.fedsp import settings
    from fedprompt_jax.experiment import run
    from fedprompt_jax.federated import client_store
    from fedprompt_jax.models import sizes, source

    folder = Path(_FOLDER.value)
    config = settings.config('sciq', 'quickstart')
    config.update_from_flattened_dict(
        {
            'model.source': str(folder / 'model'),
            'model.dtype': 'bfloat16',
            'model.remat': True,
            'data.path': str(folder / 'sciq'),
            'data.num_clients': _CLIENTS.value,
            'data.server_share': 1 / (_CLIENTS.value + 1),
            'clients_per_round': _CLIENTS.value,
            'prefix.length': 40,
            'rounds': 2,
            'local_steps': 1,
            'batch_size': 1,
            'fedsp.distill_steps': 0,
            'validation.every': 0,
            'validation.clients': 2,
            'personalization.clients': 2,
            'personalization.eval_examples': 1,
            'personalization.global_examples': 2,
            'client_store.memory_gb': _MEMORY.value,
            'checkpoint.every': 2,
        }
    )
    row_bytes = []
    original = client_store.ClientStore.__init__

    def init(self, like, memory):
        original(self, like, memory)
        row_bytes.append(self.row_bytes)

    client_store.ClientStore.__init__ = init  # type: ignore[method-assign]
    run.execute(config, folder / 'run', folder / 'cache')
    model = source.read_config(folder / 'model')
    metrics = (folder / 'run' / 'metrics.jsonl').read_text().splitlines()
    lines = [json.loads(line) for line in metrics]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        'parameters': sizes.num_params(model),
        'base_gb': 2 * sizes.num_params(model) / 1e9,
        'clients': _CLIENTS.value,
        'row_gb': row_bytes[0] / 1e9,
        'memory_gb': _MEMORY.value,
        'peak_gb': peak / 1e9,
        'rounds': [
            {k: x[k] for k in ('loss', 'model_loss', 'bytes_once', 'seconds')}
            for x in lines
            if x['stage'] == 'train'
        ],
    }


def _table(r: dict[str, Any]) -> str:
    seconds = ', '.join(f'{x["seconds"]:.0f}' for x in r['rounds'])
    return '\n'.join(
        [
            f'parameters of the server           {r["parameters"]:,}',
            f'the same in bfloat16, GB           {r["base_gb"]:.2f}',
            f'kept by a client, GB               {r["row_gb"]:.2f}',
            f'clients                            {r["clients"]}',
            f'rows in memory at most, GB         {r["memory_gb"]:.2f}',
            f'peak of host and device, GB        {r["peak_gb"]:.2f}',
            f'seconds of the rounds              {seconds}',
        ]
    )


if __name__ == '__main__':
    children.start(main, _measure)
