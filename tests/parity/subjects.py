"""The models that are compared, each loaded twice."""

from collections.abc import Iterator
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


def make(scratch: Path, cache_dir: Path) -> Iterator[Subject]:
    """Tiny models, the families' among them, and SmolLM2-135M."""
    for tied in (True, False):
        name = 'tiny_tied' if tied else 'tiny_untied'
        case = tiny_case(scratch / name, tied)
        yield _subject(name, scratch / name, case, 1e-4)
    for name in tiny_families.CONFIGS:
        case = family_case(scratch / name, name)
        yield _subject(name, scratch / name, case, 1e-4)
    folder = source.resolve(SMOLLM2, cache_dir)
    subject = _subject(GGUF, folder, None, 1e-3)
    yield subject._replace(case=smollm2_case(subject.ours.lm.tokenizer))


def _subject(name, folder, case, tolerance) -> Subject:
    return Subject(name, folder, Ours(folder), Theirs(folder), case, tolerance)
