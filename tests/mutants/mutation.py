"""What a mutation is, and how it is put into a file."""

from pathlib import Path
from typing import NamedTuple


class Mutation(NamedTuple):
    """A mistake, and the tests that must fail because of it.

    Attributes:
      name: a few words joined by '-' that say what is wrong; unique.
      file: the file that is changed, relative to the root of the project.
      old: text that stands exactly once in the file.
      new: text that takes its place.
      why: which of a user's numbers would be wrong, or what would be lost.
      tests: identifiers of pytest, of which at least one must fail:
        'tests/a_test.py::test_b' or 'tests/a_test.py'.
      harmless: why no test needs to see it; '' where one must.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]
    harmless: str = ''


def mutated(mutation: Mutation, root: Path) -> str:
    """The text of the file with the mistake.

    Raises:
      ValueError: the old text does not stand exactly once in the file, or the
        new text is the same.
    """
    path = root / mutation.file
    text = path.read_text('utf-8') if path.exists() else ''
    if (count := text.count(mutation.old)) != 1:
        raise ValueError(
            f'{mutation.name}: {mutation.file} has the old text {count} times; '
            'change the mutation as the code was changed:\n'
            f'{mutation.old}'
        )
    if mutation.new == mutation.old:
        raise ValueError(f'{mutation.name}: the new text is the old one.')
    return text.replace(mutation.old, mutation.new)
