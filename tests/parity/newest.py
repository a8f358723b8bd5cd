"""Asks the newest transformers and PEFT to generate, and names what breaks.

    python -m tests.parity.newest           # about ten minutes, and a network

The releases come from the package index into temporary environments on top of
this one, which stays as it is. In each, `python -m tests.parity` compares
generate() and pytorch.md's functions with ours. Where the newest release of a
package fails, releases are tried by bisection, beside the newest tested
release of the other package. Exits with

    0  the bounds of pyproject.toml's extra `parity` are true,
    1  a release inside them fails,
    2  nothing could be asked, such as without a network.
"""

from collections.abc import Callable, Sequence
import functools
import os
from pathlib import Path
import subprocess
import sys
import sysconfig
import tempfile
from typing import NamedTuple
import venv

from packaging.version import Version

from tests.parity import versions

MODELS = ('qwen2', 'pythia', 'gemma2', 't5')
GROUPS = ('greedy', 'kinds')
ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    """Of `python -m tests.parity` with a pair of releases.

    Attributes:
      passes: whether every comparison does.
      lines: those that fail, or the last one of what was said.
    """

    passes: bool
    lines: list[str]


class Broken(NamedTuple):
    """What breaks.

    Attributes:
      releases: the first of each package to blame; {} where the newest pass.
      together: it is the pair that fails, and neither is to blame alone.
    """

    releases: dict[str, Version]
    together: bool


Ask = Callable[[dict[str, Version]], Answer]


def main() -> int:
    """Prints what was found; the exit status."""
    bounds = versions.bounds()
    try:
        releases = {name: list_releases(name) for name in bounds}
        with tempfile.TemporaryDirectory() as scratch:
            ask = functools.partial(ask_once, Path(scratch), {})
            broken = first_broken(releases, bounds, ask)
    except OSError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return report(releases, bounds, broken)


def first_broken(
    releases: dict[str, list[Version]], bounds: dict, ask: Ask
) -> Broken:
    """Looks for what breaks, each package beside a tested release of the other.

    Args:
      releases: of each package, in order.
      bounds: which of them are tested.
      ask: about a release of each package.
    """
    newest = {name: of[-1] for name, of in releases.items()}
    if ask(newest).passes:
        return Broken({}, False)
    tested = {
        name: [r for r in of if r in bounds[name]]
        for name, of in releases.items()
    }
    best = {name: of[-1] for name, of in tested.items()}
    first = {}
    for name, of in releases.items():

        def passes(release, name=name):
            return ask(best | {name: release}).passes

        known = of.index(best[name])
        # Most likely all tested releases pass, and one question tells.
        if not passes(best[name]):
            low = of.index(tested[name][0])
            if passes(of[low]):
                first[name] = bisect(of[low + 1 : known + 1], passes)
        elif not passes(of[-1]):
            first[name] = bisect(of[known + 1 :], passes)
    if first:
        return Broken(first, False)
    return Broken(newest if ask(best).passes else best, True)


def bisect(releases: Sequence[Version], passes: Callable) -> Version:
    """The first release that fails, where the last does and they stay broken.

    >>> bisect([1, 2, 3, 4], lambda release: release < 3)
    3
    """
    low, high = 0, len(releases) - 1  # the first failure is in [low, high]
    while low < high:
        middle = (low + high) // 2
        if passes(releases[middle]):
            low = middle + 1
        else:
            high = middle
    return releases[high]


def report(releases: dict, bounds: dict, broken: Broken) -> int:
    """Says it in sentences; the exit status."""
    if not broken.releases:
        print('The newest releases pass.')
        for name, of in releases.items():
            if of[-1] not in bounds[name]:
                print(
                    f'pyproject.toml says {name}{bounds[name]}: it may allow '
                    f'{of[-1]}, once `make parity` passes with it.'
                )
        return 0
    allowed = [r in bounds[name] for name, r in broken.releases.items()]
    wrong = all(allowed) if broken.together else any(allowed)
    said = [f'{name} {release}' for name, release in broken.releases.items()]
    if broken.together:
        verdict = 'allows both and must not' if wrong else 'excludes them'
        print(
            f'{" with ".join(said)} breaks, and no release of either alone is '
            f'seen to be the cause. pyproject.toml {verdict}.'
        )
        return int(wrong)
    for (name, release), inside in zip(
        broken.releases.items(), allowed, strict=True
    ):
        verdict = 'allows it and must not' if inside else 'excludes it'
        print(
            f'The first release of {name} that breaks is {release}. '
            f'pyproject.toml {verdict}: {name}{bounds[name]}.'
        )
    return int(wrong)


def list_releases(name: str) -> list[Version]:
    """All final releases of a package for this Python, oldest first.

    Raises:
      OSError: the index does not answer.
    """
    done = run_pip('index', 'versions', name)
    head = 'Available versions: '
    for line in done.stdout.splitlines():
        if line.startswith(head):
            return sorted(map(Version, line.removeprefix(head).split(', ')))
    raise OSError(
        f'pip finds no releases of {name} ({last_line(done)}); this test asks '
        'the package index, so run it where that is reached.'
    )


def ask_once(scratch: Path, known: dict, pair: dict[str, Version]) -> Answer:
    """The answer for a pair of releases, from `known` if it was asked."""
    key = ', '.join(f'{name} {release}' for name, release in pair.items())
    if key not in known:
        folder = scratch / key.replace(', ', '-').replace(' ', '-')
        python = make_environment(folder, pair)
        known[key] = compare(python, scratch / 'compiled')
        verdict = 'passes' if known[key].passes else 'FAILS'
        print('\n    '.join([f'{key}: {verdict}', *known[key].lines]))
        sys.stdout.flush()
    return known[key]


def make_environment(folder: Path, pair: dict[str, Version]) -> Path:
    """The Python of an environment with a pair on top of this one.

    Raises:
      OSError: pip cannot install them.
    """
    venv.create(folder, with_pip=False, symlinks=os.name != 'nt')
    paths = sysconfig.get_paths('venv', vars={'base': str(folder)})
    below = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    lines = [f'import site; site.addsitedir({p!r})\n' for p in sorted(below)]
    Path(paths['purelib'], 'below.pth').write_text(''.join(lines), 'utf-8')
    python = Path(paths['scripts'], 'python')
    wanted = [f'{name}=={release}' for name, release in pair.items()]
    done = run_pip('--python', str(python), 'install', *wanted)
    if done.returncode:
        raise OSError(
            f'pip cannot install {" and ".join(wanted)} ({last_line(done)}), '
            'so it is not known whether they pass.'
        )
    return python


def run_pip(*args: str) -> subprocess.CompletedProcess:
    """What pip of this environment says."""
    options = ['--retries=1', '--disable-pip-version-check']
    return subprocess.run(
        [sys.executable, '-m', 'pip', *args, *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def compare(python: Path, compiled: Path) -> Answer:
    """Runs the comparisons by another Python."""
    env = os.environ | {
        'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',  # compiling is what takes long
        'JAX_COMPILATION_CACHE_DIR': str(compiled),
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    }
    done = subprocess.run(
        [python, '-m', 'tests.parity', f'--groups={",".join(GROUPS)}', *MODELS],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    failed = [x for x in done.stdout.splitlines() if x.endswith('FAIL')]
    if done.returncode and not failed:
        failed = [last_line(done)]  # such as an import that is refused
    return Answer(not done.returncode, failed)


def last_line(done: subprocess.CompletedProcess) -> str:
    """What a process said last, of its errors if there are any."""
    lines = [x for x in done.stderr.splitlines() if x.strip()]
    errors = [x for x in lines if x.startswith('ERROR')] or lines
    return errors[-1].strip() if errors else 'it said nothing'


if __name__ == '__main__':
    sys.exit(main())
