"""A federated run by main.py of every family with prompt, prefix and LoRA.

python -m tests.every_family            # all, a table
python -m tests.every_family t5 gemma2  # some
"""

from pathlib import Path
import sys
import tempfile
import time
from typing import Any

from tests import tiny_families
from tests.main_test import Project, metrics

KINDS = ('prompt', 'prefix', 'lora')
SHORT = {
    'rounds': 3,
    'local_steps': 1,
    'validation.every': 3,
    'personalization.epochs': 1,
    'personalization.every': 1,
    'personalization.alphas': '()',
    'prefix.length': 3,
    'lora.rank': 2,
}
# A masked language model answers with one of two words, each a token.
WORDS = {
    'data.source': 'classification',
    'data.labels': "('the','is')",
    'data.splits': 'clients',
    'data.separator': ' It was {mask} .',
    'data.target': ' {output}',
    'data.client_size': 12,
}


class Families(Project):
    """Tiny data, and the checkpoints of all families as they are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        lines = [
            f'{{"text": "the river {i} is a name", "label": {i % 2}}}\n'
            for i in range(150)
        ]
        self.words = folder / 'words.jsonl'
        self.words.write_text(''.join(lines))

    def train(self, family: str, kind: str) -> dict[str, Any]:
        """What a run of main.py left, in a few words."""
        self.model = self.folder / family
        if not self.model.exists():
            tiny_families.make_checkpoint(self.model, family)
        flags = SHORT | {'peft': kind}
        if tiny_families.CONFIGS[family]['model_type'] == 'roberta':
            flags |= WORDS | {'data.path': self.words}
        name, began = f'{family}-{kind}', time.perf_counter()
        done = self.run(name, *(f'--config.{k}={v}' for k, v in flags.items()))
        if done.returncode:
            raise RuntimeError(f'{name} failed:\n{done.stderr[-2000:]}')
        lines = metrics(self.folder / name)
        rounds = [m for m in lines if m['stage'] == 'train']
        scores = [m for m in lines if m['stage'] == 'validation']
        return {
            'family': family,
            'kind': kind,
            'bytes': rounds[0]['bytes_up'] // 3,  # of three clients
            'before': scores[0]['loss'],
            'after': scores[-1]['loss'],
            'seconds': time.perf_counter() - began,
        }


def main(names: list[str]) -> None:
    print(
        f'{"family":14} {"kind":8} {"bytes sent":>10} '
        f'{"validation loss":>20} {"s":>4}'
    )
    with tempfile.TemporaryDirectory() as folder:
        project = Families(Path(folder))
        own = [n for n in tiny_families.CONFIGS if n != 'starcoder2']
        for family in names or own:  # (main.py knows no extension)
            for kind in KINDS:
                r = project.train(family, kind)
                print(
                    f'{family:14} {kind:8} {r["bytes"]:10,} '
                    f'{r["before"]:8.3f} -> {r["after"]:8.3f} '
                    f'{r["seconds"]:4.0f}',
                    flush=True,
                )


if __name__ == '__main__':
    main(sys.argv[1:])
