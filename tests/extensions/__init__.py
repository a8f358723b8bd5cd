"""A model family and a kind of trained parameters from outside the package.

Each is one file, put where the package looks for such files.
"""

from pathlib import Path

from fedprompt_jax import peft
from fedprompt_jax.models import families

FOLDER = Path(__file__).parent


def install() -> None:
    """Adds this folder's files to the package's own."""
    for package, name in ((families, 'families'), (peft, 'peft')):
        place = str(FOLDER / name)
        if place not in package.__path__:
            package.__path__.append(place)
