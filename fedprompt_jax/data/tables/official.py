"""The data's own splits: files or names of the hub that say which they are.

A word of a file's name, or of a folder's on the way to it, says the split:
`train.jsonl`, `data/test-00000-of-00001.parquet`, `dev/part1.csv`,
`validation_matched.tsv`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
import re

from fedprompt_jax.data.splits import SPLITS

WORDS = {
    'train': 'train',
    'training': 'train',
    'validation': 'validation',
    'valid': 'validation',
    'val': 'validation',
    'dev': 'validation',
    'test': 'test',
}
_NEEDED = (
    "config.data.splits='official' needs training data and a validation or a "
    "test split, named so: 'train', 'validation' ('valid', 'val', 'dev') and "
    "'test'; or use 'clients' or 'within'"
)


def of_files(path: str, files: Iterable[Path]) -> dict[Path, str]:
    """File of a folder -> its split, one of SPLITS.

    Args:
      path: config.data.path.
      files: those of the folder.

    Raises:
      ValueError: a file says none or two of them, or the splits there do not
        suffice.
    """
    split_of: dict[Path, str] = {}
    for file in files:
        inside = file.relative_to(path) if file != Path(path) else file.name
        name = str(Path(inside).with_suffix(''))
        there = {WORDS[w] for w in _words(name) if w in WORDS}
        if len(there) != 1:
            says = ' and '.join(sorted(there)) or 'no split'
            raise ValueError(
                f'config.data.path={path!r}: the name of {inside} says {says}. '
                f'{_NEEDED}.'
            )
        split_of[file] = there.pop()
    _check(path, split_of.values())
    return split_of


def set_name(path: str) -> str:
    """The name of a data set: of a file, a folder, or on the hub.

    Where a file is a split, the name is its folder's; a split of the hub is no
    part of the name.

    >>> set_name('data/sst2/train.jsonl'), set_name('data/sst2')
    ('sst2', 'sst2')
    >>> set_name('glue/data/test-00000-of-00001.parquet')
    'glue'
    >>> set_name('reviews.csv')
    'reviews'
    """
    file = Path(path)
    rest = [w for w in _words(file.stem) if w not in ('', 'of')]
    if not rest or any(w not in WORDS for w in rest):
        return file.stem
    folder = file.parent
    return (folder.parent if folder.name == 'data' else folder).name


def of_names(path: str, names: Iterable[str]) -> dict[str, str]:
    """Split of the hub -> one of SPLITS; those of other names are left out.

    Args:
      path: config.data.path.
      names: of the splits on the hub.

    Raises:
      ValueError: the splits there do not suffice.
    """
    split_of = {}
    for name in names:
        there = {WORDS[w] for w in _words(name) if w in WORDS}
        if len(there) == 1:
            split_of[name] = there.pop()
    _check(path, split_of.values())
    return split_of


def marks(path: str, split_of: Mapping[Path, str]) -> list[tuple[str, str]]:
    """The splits of a folder's files, for a fingerprint."""
    return sorted((str(f.relative_to(path)), s) for f, s in split_of.items())


def _words(name: str) -> list[str]:
    return re.split(r'[^a-z]+', name.lower())


def _check(path: str, there: Iterable[str]) -> None:
    present = [split for split in SPLITS if split in set(there)]
    if 'train' not in present or len(present) < 2:
        raise ValueError(
            f'config.data.path={path!r} has {" and ".join(present) or "none"} '
            f'alone of the splits. {_NEEDED}.'
        )
