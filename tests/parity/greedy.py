"""Greedy generation, token for token against generate()."""

from collections.abc import Iterator
from pathlib import Path
import tempfile

import numpy as np

from fedprompt_jax.data.examples import Example
from tests.parity import pytorch_page, table
from tests.parity.cases import corpus_examples
from tests.parity.subjects import GGUF, Subject


def compare(subject: Subject) -> Iterator[table.Row]:
    """Mixed owners behind saved prompts, then the bare model."""
    name, _, ours, theirs, case, _ = subject
    if ours.lm.config.objective == 'masked_lm':  # it writes no text
        yield compare_logits(subject)
        return
    examples = case.examples
    if name == GGUF:
        examples = corpus_examples(ours.lm.tokenizer, [0, 1] * 4)
    banks = {'two or three owners': case.bank, 'bare model': case.bank[:, :0]}
    for what, bank in banks.items():
        texts = ours.greedy(bank, examples)
        what = f'{name}: {what}'
        expected = theirs.greedy(bank, examples)
        yield table.differing('greedy', what, texts, expected)
        if bank.shape[1]:
            expected = by_page(subject, examples)
            what += ", pytorch.md's with_prompt"
            yield table.differing('greedy', what, texts, expected)


def by_page(subject: Subject, examples: list[Example]) -> list[np.ndarray]:
    """Texts by generate() of the bare model, without PEFT."""
    with tempfile.TemporaryDirectory() as name:
        folders = save(subject, Path(name))
        model = subject.theirs.model
        return [
            pytorch_page.generate('prompt', model, folders[e.owner], e.query)
            for e in examples
        ]


def compare_logits(subject: Subject) -> table.Row:
    """At the masks of a model that writes no text."""
    _, _, ours, theirs, case, tolerance = subject
    with tempfile.TemporaryDirectory() as name:
        folders = save(subject, Path(name))
        expected = [
            pytorch_page.logits(theirs.model, folders[e.owner], e.query)[e.at]
            for e in case.examples
        ]
    got = ours.packed_logits(case.bank, case.examples)
    what = f"{subject.name}: logits at masks, pytorch.md's with_prompt"
    return table.max_abs('logits', what, got, expected, tolerance)


def save(subject: Subject, scratch: Path) -> list[Path]:
    """Folders of the case's prompts."""
    folders = []
    for owner, prompt in enumerate(subject.case.bank):
        folders.append(scratch / f'client-{owner}')
        subject.theirs.save(folders[-1], prompt)
    return folders
