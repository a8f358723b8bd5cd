"""What a mutation is."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """A mistake, and the tests that must fail because of it.

    Attributes:
      name: short words joined by '-', unique in all tables; it says what is
        wrong.
      file: the file that is changed, relative to the root of the project.
      old: text that stands exactly once in the file.
      new: text that takes its place.
      why: which number of a user's would be wrong.
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
