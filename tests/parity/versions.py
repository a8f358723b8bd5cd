"""The releases of transformers and PEFT that the comparisons passed with."""

from importlib import metadata
from pathlib import Path
import tomllib

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PYPROJECT = Path(__file__).parents[2] / 'pyproject.toml'
PACKAGES = ('transformers', 'peft')


def bounds() -> dict[str, SpecifierSet]:
    """The tested releases of each package: pyproject.toml's extra parity."""
    project = tomllib.loads(PYPROJECT.read_text('utf-8'))['project']
    found = [Requirement(r) for r in project['optional-dependencies']['parity']]
    return {r.name: r.specifier for r in found if r.name in PACKAGES}


def untested() -> str:
    """What is installed outside those bounds, and the fix; '' if nothing is."""
    strange = []
    for name, tested in bounds().items():
        version = metadata.version(name)
        if not tested.contains(version, prereleases=True):
            strange.append(f'{name} {version} is installed, but {tested} was')
    if not strange:
        return ''
    return (
        f'{"; ".join(strange)} tested: what fails may be due to that. '
        "`pip install --editable '.[parity]'` installs tested releases."
    )
