"""A federated run of every family with prompt, prefix and LoRA.

python -m tests.every_family            # all, a table
python -m tests.every_family t5 gemma2  # some
"""

from pathlib import Path
import sys
import tempfile
import time
from typing import Any

from tests import tiny_families
from tests.main_test import metrics
from tests.tiny_run import Runs

KINDS = ('prompt', 'prefix', 'lora')
SHORT = {
    'rounds': 3,
    'clients_per_round': 3,
    'personalization__every': 1,
    'personalization__alphas': (),
    'prefix__length': 3,
    'lora__rank': 2,
}
# A masked language model answers with one of two words, each a token.
WORDS = {
    'data__source': 'classification',
    'data__labels': ('the', 'is'),
    'data__splits': 'clients',
    'data__separator': ' It was {mask} .',
    'data__target': ' {output}',
    'data__client_size': 12,
}


class Families(Runs):
    """Tiny data, and the checkpoints of all families as they are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        lines = [
            f'{{"text": "the river {i} is a name", "label": {i % 2}}}\n'
            for i in range(150)
        ]
        self.words = folder / 'words.jsonl'
        self.words.write_text(''.join(lines))

    def changes(self, family: str, kind: str) -> dict[str, Any]:
        """The config's keys for a family, whose checkpoint is made."""
        model = self.folder / family
        if not model.exists():
            tiny_families.make_checkpoint(model, family)
        found = SHORT | {'model__source': str(model), 'peft': kind}
        if tiny_families.CONFIGS[family]['model_type'] == 'roberta':
            found |= WORDS | {'data__path': str(self.words)}
        return found

    def train(self, family: str, kind: str) -> dict[str, Any]:
        """What a run left, in a few words."""
        path, began = self.folder / f'{family}-{kind}', time.perf_counter()
        self.start(path, **self.changes(family, kind))
        lines = metrics(path)
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
        for family in names or own:  # (the package knows no extension)
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
