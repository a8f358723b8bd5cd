"""What ROUGE-L compares in an instance: words, model tokens or characters.

ROUGE's tokenizer keeps the letters a-z and the digits 0-9 of a text and drops
all else, so that 'нет' and 'да' are equal to it, and so are '+' and '-'. Hence

* an answer declared to be English is cut into words, as SNI reports it;
* one declared to be in another language is cut into the model's tokens;
* one in an undeclared language is cut into words if these are all of it.

Characters are used for everything else.
"""

from collections.abc import Iterable, Mapping, Sequence
import functools
import itertools
import re
from typing import Any, NamedTuple
import unicodedata

from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.evaluation import text_scores
from fedprompt_jax.models.tokenizer import Tokenizer

WORDS, PIECES, CHARACTERS = 'words', 'pieces', 'characters'
_WORD = re.compile('[a-z0-9]')


class Census(NamedTuple):
    """The number of scored instances that are compared in each unit.

    Attributes:
      counts: unit -> instances; an instance with references in words and in
        characters is one of characters.
      tasks: unit -> names of the tasks of these instances.
      beginnings: how many of them are right where the answer begins with a
        reference.
    """

    counts: dict[str, int]
    tasks: dict[str, list[str]]
    beginnings: int = 0


def units(
    task: Mapping[str, Any], record: Mapping[str, Any], tokenizer: Tokenizer
) -> list[str]:
    """The unit in which each reference of an instance is compared.

    The prediction has no part in this: all predictions for an instance are
    scored alike.

    Args:
      task: of the store, with the languages that its answers are in.
      record: of the store: the references and choices of the instance.
      tokenizer: the model's.
    """
    languages, references = set(task['output_language']), record['outputs']
    if languages == {'English'}:
        # The words' score is SNI's, but without a word it is always 0.
        return [CHARACTERS if _wordless(r) else WORDS for r in references]
    if languages:
        unit = PIECES if _reversible(tokenizer, references) else CHARACTERS
    else:
        choices = tuple(record.get('choices', ()))
        texts = [*references, *choices]
        hidden = any(_wordless(t) or _has_unseen(t) for t in texts)
        confused = hidden or _confused(choices)
        unit = CHARACTERS if confused else WORDS
    return [unit] * len(references)


def rouge_l(
    prediction: str,
    references: Sequence[str],
    compared: Sequence[str],
    tokenizer: Tokenizer,
) -> float:
    """Best ROUGE-L F1 over the references, each compared in its unit.

    Args:
      prediction: a text.
      references: one or more texts.
      compared: of `units`, the unit of each reference.
      tokenizer: the model's.
    """
    splits = {
        WORDS: None,
        PIECES: tokenizer.pieces,
        CHARACTERS: text_scores.characters,
    }
    if not prediction.strip() and not all(r.strip() for r in references):
        return 1.0  # nothing is the right answer
    return max(
        text_scores.rouge_l(prediction, [reference], splits[unit])
        for reference, unit in zip(references, compared, strict=True)
    )


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1.0 if the prediction equals some reference, as SNI compares them.

    Its comparison drops punctuation. A reference of nothing else, such as
    '+', has to be the prediction to the letter.
    """
    signs = [r.strip() for r in references if not text_scores.normalise(r)]
    texts = [r for r in references if r.strip() not in filter(None, signs)]
    same = bool(prediction.strip()) and prediction.strip() in signs
    return float(same or text_scores.exact_match(prediction, texts))


def census(
    store: TokenStore, instances: Iterable[int], tokenizer: Tokenizer
) -> Census:
    """Counts the units of the given instances of a store."""
    counted = Census(dict.fromkeys((WORDS, PIECES, CHARACTERS), 0), {})
    beginnings = 0
    for i in instances:
        task, record = store.tasks[store.task_of[i]], store.record(i)
        beginnings += record.get('beginning', False)
        used = units(task, record, tokenizer)
        unit = CHARACTERS if CHARACTERS in used else used[0]
        counted.counts[unit] += 1
        names = counted.tasks.setdefault(unit, [])
        if task['name'] not in names[-1:]:
            names.append(task['name'])
    return counted._replace(beginnings=beginnings)


def warnings(counted: Census) -> list[str]:
    """Says where ROUGE-L is not that of the paper's scorer."""
    total, sentences = sum(counted.counts.values()), []
    if n := counted.counts[PIECES]:
        sentences.append(
            f'{n} of {total} scored instances are in tasks that do not answer '
            f'in English ({_some(counted.tasks[PIECES])}): their ROUGE-L is '
            "over the model's own tokens, where Super-NaturalInstructions uses "
            "GPT-2's, and is comparable only between runs of one model."
        )
    if n := counted.counts[CHARACTERS]:
        sentences.append(
            f'{n} of {total} scored instances '
            f'({_some(counted.tasks[CHARACTERS])}) have answers that a '
            "tokenizer does not see in full (ROUGE's keeps a-z and 0-9 alone): "
            'their ROUGE-L is over characters without white space, and is not '
            "comparable with the paper's."
        )
    return sentences


def settings(counted: Census) -> dict[str, Any]:
    """Describes how ROUGE-L and exact match are computed, for run.json."""
    counts = {unit: n for unit, n in counted.counts.items() if n}
    said: dict[str, Any] = {**text_scores.SETTINGS, 'rouge_l_units': counts}
    if counted.beginnings:
        said['exact_match'] += (
            f'; of {counted.beginnings} open questions: the greedy answer '
            'begins with a reference'
        )
    return said


def _wordless(text: str) -> bool:
    """Whether ROUGE's tokenizer finds no word in a text."""
    return not _WORD.search(text.lower())


def _has_unseen(text: str) -> bool:
    """Whether ROUGE's tokenizer drops more than punctuation and spaces.

    'é' counts, which splits a word in two there: 'sí' and 'sé' are both 's'.
    """
    return not text.isascii() and any(
        c > '\x7f' and not _is_punctuation(c) for c in text.lower()
    )


def _is_punctuation(character: str) -> bool:
    """Whether it is punctuation, a space or a control character."""
    category = unicodedata.category(character)
    return category[0] in 'PZ' or category in ('Cc', 'Cf')


@functools.lru_cache(maxsize=4096)
def _confused(choices: tuple[str, ...]) -> bool:
    """Whether two choices have the same words, as '-1' and '+1' have."""
    cut = [text_scores.words(choice) for choice in dict.fromkeys(choices)]
    return any(a == b for a, b in itertools.combinations(cut, 2))


def _reversible(tokenizer: Tokenizer, texts: Sequence[str]) -> bool:
    """Whether the texts can be read back from their tokens.

    They cannot where the vocabulary lacks a character: it becomes the unknown
    token, as any other does, or nothing.
    """
    rows = tokenizer.encode_batch(list(texts), False)
    back = tokenizer.decode_batch(rows)
    return [*map(_letters, texts)] == [*map(_letters, back)]


def _letters(text: str) -> str:
    """The text without white space, as normalizing tokenizers write it."""
    return ''.join(unicodedata.normalize('NFKC', text).split())


def _some(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ', '.join(unique[:3]) + (', ...' if len(unique) > 3 else '')
