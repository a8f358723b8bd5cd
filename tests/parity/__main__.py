"""Prints the table of all comparisons; see the package's docstring."""

from collections.abc import Callable, Iterator
from pathlib import Path
import sys
import tempfile
import time
import traceback
import warnings

from absl import app, flags, logging
import jax

from tests.parity import (
    cases,
    doubles,
    gguf_files,
    golden,
    greedy,
    kinds,
    lm_eval_scores,
    logits,
    losses,
    not_in_peft,
    peft_adapters,
    random_configs,
    repeated_layers,
    rounds,
    seams,
    subjects,
    table,
    text,
    versions,
    whole_run_rows,
)
from tests.parity.subjects import Subject

_CACHE_DIR = flags.DEFINE_string(
    'cache_dir', cases.CACHE, 'Where SmolLM2 is converted to, once.'
)
_WRITE_GOLDEN = flags.DEFINE_bool(
    'write_golden', False, 'Write tests/golden/*.npz instead of comparing.'
)
MODULES = {
    module.__name__.rpartition('.')[2]: module
    for module in (logits, losses, doubles, rounds, greedy, kinds, not_in_peft)
}
GROUPS = [*MODULES, 'golden']
# Comparisons that are of no model of the table, and have files of their own.
OTHERS = {
    module.NAME: module
    for module in (peft_adapters, whole_run_rows, lm_eval_scores)
}
_GROUPS = flags.DEFINE_list(
    'groups', GROUPS, f'The comparisons of each model: {", ".join(GROUPS)}.'
)


def main(argv: list[str]) -> None:
    chosen, untested = argv[1:], versions.untested()
    known = [*golden.NAMES, *OTHERS]
    if strange := sorted(set(chosen) - set(known)):
        raise app.UsageError(
            f'unknown models: {strange}; there are {", ".join(known)}'
        )
    if strange := sorted(set(_GROUPS.value) - set(GROUPS)):
        raise app.UsageError(
            f'unknown groups: {strange}; there are {", ".join(GROUPS)}'
        )
    if untested and _WRITE_GOLDEN.value:
        raise app.UsageError(f'--write_golden writes nothing: {untested}')
    if untested:
        print(untested, file=sys.stderr, flush=True)
    logging.set_verbosity(logging.WARNING)
    warnings.filterwarnings('ignore', module='peft|transformers')
    cache_dir = Path(_CACHE_DIR.value).expanduser()
    with tempfile.TemporaryDirectory() as scratch:
        names = chosen or known
        others = [OTHERS[name] for name in names if name in OTHERS]
        names = [name for name in names if name not in OTHERS]
        found = subjects.make(Path(scratch), cache_dir, names)
        if _WRITE_GOLDEN.value:
            for subject in found:
                write_golden(subject)
            for module in others:
                module.write_golden()
            return
        rows = []
        if not chosen:
            rows += attempt('text', text.compare)
            rows += attempt('seams', seams.compare)
            rows += attempt('gguf', gguf_files.compare)
            rows += attempt('random', random_configs.compare)
            rows += attempt('repeated', repeated_layers.compare)
            jax.clear_caches()
        for module in others:
            rows += attempt(module.NAME, module.compare)
            jax.clear_caches()
        for subject in found:
            rows += compare(subject, _GROUPS.value)
            # Each program that stays compiled holds memory maps, of which the
            # kernel allows a process 65,530: XLA crashes beyond.
            jax.clear_caches()
    print('\n'.join(table.lines(rows)) + '\n')
    print('\n'.join(table.summary(rows)) + '\n')
    failed = sum(not row.ok for row in rows)
    if failed and untested:
        print(untested)
    print(f'{len(rows)} comparisons, {failed} failed')
    sys.exit(failed > 0)


def compare(subject: Subject, groups: list[str]) -> Iterator[table.Row]:
    """The rows of a model."""
    for name, module in MODULES.items():
        if name in groups:
            yield from attempt(name, module.compare, subject)
    if 'golden' in groups:
        yield from attempt('golden', compare_golden, subject)


def attempt(name: str, rows: Callable, *args) -> Iterator[table.Row]:
    """The rows; an exception is one that fails."""
    start = time.perf_counter()
    try:
        yield from rows(*args)
    except Exception as error:
        traceback.print_exc()
        yield table.Row(name, repr(error)[:40], 'error', float('nan'), 0)
    seconds = time.perf_counter() - start
    print(name, *(a.name for a in args), f'{seconds:.0f} s', file=sys.stderr)


def compare_golden(subject: Subject) -> Iterator[table.Row]:
    """The stored numbers against PyTorch's of today, on this machine."""
    case, stored = golden.read(subject.name)
    today = golden.numbers(subject.theirs, case)
    for key in sorted(
        stored.keys() - {'top_ids'}
    ):  # rounding may swap near ones
        what = f'{subject.name}: stored {key}'
        yield table.relative('golden', what, [stored[key]], [today[key]], 1e-3)


def write_golden(subject: Subject) -> None:
    """Writes PyTorch's numbers of a model."""
    answers = golden.numbers(subject.theirs, subject.case)
    golden.write(subject.name, subject.case, answers)
    path = golden.path(subject.name)
    print(f'{path}: {path.stat().st_size / 1024:.0f} KB')


if __name__ == '__main__':
    app.run(main)
