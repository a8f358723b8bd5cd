"""Super-NaturalInstructions: a folder of task files, or the embedded corpus."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ml_collections import config_dict

from fedprompt_jax.data import sni, splits
from fedprompt_jax.data.tables import tasks
from fedprompt_jax.data.tokenizing import Source

EMBEDDED = 'embedded'


def open_source(data: config_dict.ConfigDict) -> Source:
    """The folder at config.data.path, or the corpus in the package."""
    if data.path != EMBEDDED:
        content = sni.content_fingerprint(data.path)
        return Source(
            Path(data.path).name,
            content,
            lambda: _folder(data.path, content),
            sni.missing_metadata(data.path),
        )
    from fedprompt_jax.data import corpus

    raw = corpus.generate()

    def read() -> Iterable[sni.Task]:
        return (sni.parse_task(name, task) for name, task in raw.items())

    return Source('the embedded corpus', sni.fingerprint_of_raw(raw), read)


def _folder(path: str, content: str) -> Iterator[sni.Task]:
    yield from sni.iter_folder(path)
    tasks.check_unchanged(path, content, sni.content_fingerprint(path))


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with the path, or with the lists of splits."""
    yield from tasks.unread(config, 'columns', 'labels', 'answers', 'metadata')
    yield from tasks.no_official(
        config,
        'its lists split tasks: name their folder '
        "(config.data.splits='default'), or use 'paper', 'random', 'clients' "
        "or 'within'",
    )
    c = config.data
    if c.path == EMBEDDED:
        return
    try:
        sni.task_files(c.path)
        if c.splits not in splits.NO_LISTS:
            sni.read_splits(c.path, c.splits)
    except ValueError as error:
        yield f'config.data.path={c.path!r}: {error}'
