"""The models that are compared, each loaded twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fedprompt_jax.models import source
from tests.parity.cases import SMOLLM2, Case, smollm2_case, tiny_case
from tests.parity.ours import Ours
from tests.parity.theirs import Theirs


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
    def tiny(self) -> bool:
        return self.name != 'smollm2'


def make(scratch: Path, cache_dir: Path) -> Iterator[Subject]:
    """A tiny Llama with a tied head, one without, and SmolLM2-135M."""
    for tied in (True, False):
        name = 'tiny_tied' if tied else 'tiny_untied'
        case = tiny_case(scratch / name, tied)
        yield _subject(name, scratch / name, case, 1e-4)
    folder = source.resolve(SMOLLM2, cache_dir)
    subject = _subject('smollm2', folder, None, 1e-3)
    yield subject._replace(case=smollm2_case(subject.ours.lm.tokenizer))


def _subject(name, folder, case, tolerance) -> Subject:
    return Subject(name, folder, Ours(folder), Theirs(folder), case, tolerance)
