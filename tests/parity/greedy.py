"""Greedy generation, token for token against generate()."""

from collections.abc import Iterator

from tests.parity import table
from tests.parity.cases import corpus_examples
from tests.parity.subjects import GGUF, Subject


def compare(subject: Subject) -> Iterator[table.Row]:
    """Mixed owners behind saved prompts, then the bare model."""
    name, _, ours, theirs, case, _ = subject
    if ours.lm.config.objective == 'masked_lm':  # it writes no text
        return
    examples = case.examples
    if name == GGUF:
        examples = corpus_examples(ours.lm.tokenizer, [0, 1] * 4)
    banks = {'two or three owners': case.bank, 'bare model': case.bank[:, :0]}
    for what, bank in banks.items():
        yield table.differing(
            'greedy',
            f'{name}: {what}',
            ours.greedy(bank, examples),
            theirs.greedy(bank, examples),
        )
