"""The models that are compared, each loaded twice."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fedprompt_jax.models import source
from tests import tiny_families
from tests.parity.cases import (
    SMOLLM2,
    Case,
    family_case,
    smollm2_case,
    tiny_case,
)
from tests.parity.ours import Ours
from tests.parity.theirs import Theirs

GGUF = 'smollm2'  # the name of the one that comes from a GGUF file


class Subject(NamedTuple):
    """A model by both implementations, and what they are asked.

    Attributes:
      name: also of its golden file.
      folder: its Hugging Face checkpoint.
      ours: this project's.
      theirs: transformers' and PEFT's.
      case: the inputs.
      tolerance: of logits, absolute.
    """

    name: str
    folder: Path
    ours: Ours
    theirs: Theirs
    case: Case
    tolerance: float

    @property
    def is_family(self) -> bool:
        """Whether it stands for its architecture alone."""
        return self.name in tiny_families.CONFIGS


def make(
    scratch: Path, cache_dir: Path, names: Iterable[str]
) -> Iterator[Subject]:
    """The models of those names: tiny ones, the families', SmolLM2-135M."""
    for name in names:
        folder = scratch / name
        if name == GGUF:
            folder = source.resolve(SMOLLM2, cache_dir)
            subject = _subject(name, folder, None, 1e-3)
            case = smollm2_case(subject.ours.lm.tokenizer)
            yield subject._replace(case=case)
        elif name in tiny_families.CONFIGS:
            yield _subject(name, folder, family_case(folder, name), 1e-4)
        else:
            case = tiny_case(folder, tied=name == 'tiny_tied')
            yield _subject(name, folder, case, 1e-4)


def _subject(name, folder, case, tolerance) -> Subject:
    return Subject(name, folder, Ours(folder), Theirs(folder), case, tolerance)
