"""Tries mutations and prints which survived; see the package's docstring."""

from collections.abc import Iterator, Sequence
import compileall
from concurrent import futures
import datetime
import json
import os
from pathlib import Path
import py_compile
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import time

from absl import app, flags
import tqdm

from tests.mutants import tables
from tests.mutants.mutation import Mutation, mutated
from tests.mutants.worker import Outcome

ROOT = Path(__file__).parents[2]
# Of the project, all but what git ignores; tests of the docs read all of it.
LEFT_OUT = ('.git', '.venv*', '*_cache', '__pycache__', '*.egg-info', 'runs')

_PROCESSES = flags.DEFINE_integer(
    'processes', os.cpu_count(), 'How many mutations are tried at once.', 1
)
_SAMPLE = flags.DEFINE_integer(
    'sample', 0, 'Tries so many, chosen by the date; 0 tries all.', 0
)
_DATE = flags.DEFINE_string(
    'date', f'{datetime.date.today()}', 'The date that chooses the sample.'
)
_UNCHANGED = flags.DEFINE_bool(
    'unchanged', True, 'First sees all tests pass on the code as it is.'
)


class Worker:
    """A process with a copy of the project; see worker.py."""

    def __init__(self, folder: Path) -> None:
        ignore = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(ROOT, folder, ignore=ignore, symlinks=True)
        # Two texts of one length within a second have the same time stamp:
        # what is compiled must know the content.
        compileall.compile_dir(
            folder,
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
        )
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'tests.mutants.worker'],
            cwd=folder,
            env=os.environ
            | {'PYTHONPATH': str(folder), 'PYTHONDONTWRITEBYTECODE': '1'},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **fields) -> Outcome:
        """One line there, one line back."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps(fields), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError('A process that tries mutations has ended.')
        return Outcome(**json.loads(answer))

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def choose(
    known: dict[str, tuple[Mutation, ...]], names: Sequence[str]
) -> list[Mutation]:
    """The mutations of tables, files or names; of all where none is named."""
    by_name: dict[str, list[Mutation]] = {k: list(v) for k, v in known.items()}
    for m in (m for table in known.values() for m in table):
        by_name.setdefault(m.file, []).append(m)
        by_name.setdefault(m.name, []).append(m)
    if unknown := [name for name in names if name not in by_name]:
        raise app.UsageError(
            f'{unknown[0]} is no mutation, no file that has one, and none of '
            f'the tables {", ".join(known)}'
        )
    return list(
        dict.fromkeys(m for name in names or known for m in by_name[name])
    )


def attempt_all(
    workers: Sequence[Worker], jobs: Sequence[dict]
) -> Iterator[Outcome]:
    """The outcomes, as they come."""
    free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)

    def attempt(job: dict) -> Outcome:
        worker = free.get()
        try:
            return worker.ask(**job)
        finally:
            free.put(worker)

    with futures.ThreadPoolExecutor(len(workers)) as pool:
        waiting = [pool.submit(attempt, job) for job in jobs]
        for done in futures.as_completed(waiting):
            yield done.result()


def require_passing(workers: Sequence[Worker], chosen: list[Mutation]) -> None:
    """Exits where a test fails on the code as it is."""
    files: dict[str, dict[str, None]] = {}
    for test in (test for m in chosen for test in m.tests):
        files.setdefault(test.partition('::')[0], {})[test] = None
    jobs = [
        # A whole file stands for its tests.
        {'name': '', 'tests': [file] if file in tests else list(tests)}
        for file, tests in files.items()
    ]
    outcomes = attempt_all(workers, jobs)
    bar = tqdm.tqdm(
        outcomes, 'without mutations', len(jobs), unit='file', disable=None
    )
    for outcome in bar:
        if outcome.verdict != 'survived':
            sys.exit(f'Without any mutation, a test fails: {outcome.by}')


def wrong(mutation: Mutation, outcome: Outcome) -> bool:
    """Whether the table has to be changed, or a test is missing."""
    expected = 'survived' if mutation.harmless else 'caught'
    return outcome.verdict != expected


def line(mutation: Mutation, outcome: Outcome) -> str:
    """What came out, in words."""
    said = {
        'survived': mutation.harmless or f'no test fails. {mutation.why}',
        'caught': f'{outcome.by} fails, in {outcome.seconds:.0f} s',
        'error': outcome.by,
    }
    mark = 'WRONG: ' if wrong(mutation, outcome) else ''
    where = f'{mutation.name} ({mutation.file})'
    return f'{mark}{where} {outcome.verdict}: {said[outcome.verdict]}'


def summary(
    known: dict[str, tuple[Mutation, ...]], outcomes: dict[Mutation, Outcome]
) -> Iterator[str]:
    """A line for each table, then what survived and what is wrong."""
    yield '{:18} {:>6} {:>6} {:>8} {:>6}'.format(
        'table', 'tried', 'caught', 'survived', 'error'
    )
    counts = {
        name: [outcomes[m].verdict for m in table if m in outcomes]
        for name, table in known.items()
    }
    counts['all'] = [v for verdicts in counts.values() for v in verdicts]
    for name, verdicts in counts.items():
        if verdicts:
            numbers = map(verdicts.count, ('caught', 'survived', 'error'))
            yield '{:18} {:6} {:6} {:8} {:6}'.format(
                name, len(verdicts), *numbers
            )
    for m, outcome in outcomes.items():
        if m.harmless or wrong(m, outcome):
            yield line(m, outcome)


def main(argv: list[str]) -> None:
    known = tables.read()
    chosen = choose(known, argv[1:])
    for m in chosen:
        try:
            mutated(m, ROOT)
        except ValueError as error:
            sys.exit(str(error))
    if 0 < _SAMPLE.value < len(chosen):
        chosen = random.Random(_DATE.value).sample(chosen, _SAMPLE.value)
    by_name, began = {m.name: m for m in chosen}, time.monotonic()
    outcomes: dict[Mutation, Outcome] = {}
    with tempfile.TemporaryDirectory() as scratch:
        count = min(_PROCESSES.value, len(chosen))
        workers = [Worker(Path(scratch) / f'{i}') for i in range(count)]
        if _UNCHANGED.value:
            require_passing(workers, chosen)
        jobs = [m._asdict() for m in chosen]
        tried = attempt_all(workers, jobs)
        bar = tqdm.tqdm(
            tried, 'mutations', len(jobs), unit='mutation', disable=None
        )
        for outcome in bar:
            m = by_name[outcome.name]
            outcomes[m] = outcome
            bar.write(line(m, outcome), file=sys.stdout)
            sys.stdout.flush()
        for worker in workers:
            worker.end()
    ordered = {m: outcomes[m] for m in chosen}
    print('\n'.join(summary(known, ordered)))
    print(f'{time.monotonic() - began:.0f} s')
    sys.exit(any(wrong(m, outcome) for m, outcome in outcomes.items()))


if __name__ == '__main__':
    app.run(main)
