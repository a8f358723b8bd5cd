"""A family, a kind of trained parameters and an algorithm from outside.

Each is one file, put where the package looks for such files.
"""

from pathlib import Path

from fedprompt_jax import algorithms, peft
from fedprompt_jax.models import families

FOLDER = Path(__file__).parent


def install() -> None:
    """Adds this folder's files to the package's own."""
    for package in (families, peft, algorithms):
        place = str(FOLDER / package.__name__.split('.')[-1])
        if place not in package.__path__:
            package.__path__.append(place)
