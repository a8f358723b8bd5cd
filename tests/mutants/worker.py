"""A process that tries mutations on the copy of the project it is started in.

It reads one mutation per line from stdin, as JSON, and answers each with a
line on stdout, an Outcome. The libraries are imported once: each try is a fork
of this process, in which the project itself is imported anew.
"""

import importlib
import json
import os
from pathlib import Path
import signal
import sys
import time
from typing import NamedTuple

import pytest

from tests import quick_compilation
from tests.mutants.mutation import Mutation, mutated

# What most tests import. None of them starts a thread or looks for devices,
# which a fork would not survive.
LIBRARIES = (
    'jax', 'jax.numpy', 'flax', 'optax', 'orbax.checkpoint', 'ml_collections',
    'transformers', 'tokenizers', 'safetensors.numpy', 'rouge_score',
    'matplotlib.figure', 'scipy.stats', 'pyarrow', 'absl.app', 'absl.logging',
)  # fmt: skip
PATIENCE = 240  # seconds, after which tests are stopped
OPTIONS = (
    '-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:xdist', '-o', 'addopts=',
)  # fmt: skip
# Whole paths: a test may change the folder that it works in.
# What no law of a test raises: a name that is not there.
NOT_IN_PYTHON = (
    'NameError', 'UnboundLocalError', 'ImportError', 'ModuleNotFoundError',
    'SyntaxError',
)  # fmt: skip
ANSWER, OUTPUT = Path('answer.txt').absolute(), Path('output.txt').absolute()


class Outcome(NamedTuple):
    """How the tests of a mutation ended.

    Attributes:
      name: of the mutation; '' for the code as it is.
      verdict: 'caught': a test failed; 'survived': none did; 'error': they did
        not run to their end, or failed by a name that does not exist.
      by: the test that failed and the exception, or what went wrong instead.
      seconds: that it took.
    """

    name: str
    verdict: str
    by: str
    seconds: float


class FirstFailure:
    """A plugin of pytest that writes down which test failed first, and how."""

    def pytest_exception_interact(self, node, call, report) -> None:
        collecting = report.when == 'collect'
        if not (collecting or ANSWER.exists()):
            ANSWER.write_text(f'{node.nodeid}\n{call.excinfo.typename}')


def run_tests(tests: list[str]) -> tuple[str, str]:
    """Runs tests in a fork of this process; a verdict, and by which test."""
    ANSWER.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = pytest.main([*OPTIONS, *tests], [FirstFailure()])
        sys.stdout.flush()
        os._exit(int(code))
    ended = time.monotonic() + PATIENCE
    while time.monotonic() < ended:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.02)
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return 'error', f'no end after {PATIENCE} s'
    code = os.waitstatus_to_exitcode(status)
    if code == pytest.ExitCode.OK:
        return 'survived', ''
    output = OUTPUT.read_text(errors='replace')[-2000:]
    if code != pytest.ExitCode.TESTS_FAILED or not ANSWER.exists():
        return 'error', output
    test, error = ANSWER.read_text().split('\n')
    if error in NOT_IN_PYTHON:  # the mutation itself is wrong
        return 'error', f'{test}: {error}\n{output}'
    return 'caught', f'{test} ({error})'


def attempt(mutation: Mutation) -> Outcome:
    """Puts the mistake into the copy, runs the tests, and takes it out."""
    began = time.monotonic()
    try:
        text = mutated(mutation, Path())
    except ValueError as error:
        return Outcome(mutation.name, 'error', str(error), 0.0)
    path = Path(mutation.file)
    before = path.read_text('utf-8')
    path.write_text(text, 'utf-8')
    try:
        verdict, by = run_tests(list(mutation.tests))
    finally:
        path.write_text(before, 'utf-8')
    return Outcome(mutation.name, verdict, by, time.monotonic() - began)


def run_unchanged(tests: list[str]) -> Outcome:
    """Runs tests on the code as it is, where each has to pass."""
    began = time.monotonic()
    verdict, by = run_tests(tests)
    return Outcome('', verdict, by, time.monotonic() - began)


def main() -> None:
    quick_compilation.set_flags()
    for library in LIBRARIES:
        importlib.import_module(library)
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        fields = json.loads(line)
        if fields['name']:
            outcome = attempt(Mutation(**fields))
        else:
            outcome = run_unchanged(fields['tests'])
        print(json.dumps(outcome._asdict()), file=answers, flush=True)


if __name__ == '__main__':
    main()
