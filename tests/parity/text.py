"""ROUGE-L and exact match, against their definitions in plain Python."""

from collections.abc import Iterator
import itertools
import string

from nltk.stem.porter import PorterStemmer
import numpy as np

from fedprompt_jax.evaluation import text_scores
from tests.parity import cases, table

ALPHABET = frozenset(string.ascii_lowercase + string.digits)
WORDS = (
    'The cats are running quickly; a cat ran. Happiness, happily! flies 42 '
    "3.5 it's Zürich naïve relational-conditional İstanbul _x_ 你好 ... of"
).split(' ')


def compare() -> Iterator[table.Row]:
    """Both scores on random and on real texts, with several references."""
    groups = {'random': random_pairs(), 'embedded corpus': real_pairs()}
    for what, pairs in groups.items():
        yield table.max_abs(
            'text',
            f'ROUGE-L, {len(pairs)} {what}',
            [text_scores.rouge_l(*p) for p in pairs],
            [rouge_l(*p) for p in pairs],
            1e-12,
        )
        yield table.differing(
            'text',
            f'exact match, {what}',
            [text_scores.exact_match(*p) for p in pairs],
            [exact_match(*p) for p in pairs],
        )


def random_pairs() -> list[tuple[str, list[str]]]:
    """A text of 0-12 words, and 1-3 references made from it or anew."""
    rng = np.random.default_rng(0)

    def text():
        return ' '.join(rng.choice(WORDS, rng.integers(0, 13)))

    def vary(words):
        kept = [w.upper() for w in words.split(' ') if rng.random() < 0.9]
        return '  '.join(kept) + '.'

    pairs = []
    for _ in range(400):
        prediction = text()
        pairs.append(
            (
                prediction,
                [
                    vary(prediction) if rng.random() < 0.5 else text()
                    for _ in range(rng.integers(1, 4))
                ],
            )
        )
    return pairs


def real_pairs() -> list[tuple[str, list[str]]]:
    """Inputs and outputs of the corpus, each against others."""
    texts = [t for pair in cases.corpus_pairs(60) for t in pair]
    apart = [(a, [b]) for a, b in itertools.pairwise(texts)]
    return apart + [(t, [t.title() + '!', 'no']) for t in texts]


def rouge_l(prediction: str, references: list[str]) -> float:
    """Best F1 of longest common subsequences of stems."""
    a = stems(prediction)
    best = 0.0
    for reference in references:
        b = stems(reference)
        common = longest_common_subsequence(a, b)
        if common:
            best = max(best, 2 * common / (len(a) + len(b)))
    return best


def stems(text: str) -> list[str]:
    """Runs of a-z and 0-9 of the lowered text, the long ones stemmed."""
    spaced = ''.join(c if c in ALPHABET else ' ' for c in text.lower())
    stemmer = PorterStemmer()
    return [stemmer.stem(w) if len(w) > 3 else w for w in spaced.split()]


def longest_common_subsequence(a: list[str], b: list[str]) -> int:
    """By dynamic programming, one row at a time."""
    row = [0] * (len(b) + 1)
    for x in a:
        above = row[:]
        for j, y in enumerate(b):
            row[j + 1] = above[j] + 1 if x == y else max(above[j + 1], row[j])
    return row[-1]


def exact_match(prediction: str, references: list[str]) -> float:
    """Equal to a reference but for case, punctuation and white space."""

    def plain(text):
        kept = (c for c in text.lower() if c not in string.punctuation)
        return ' '.join(''.join(kept).split())

    return float(any(plain(prediction) == plain(r) for r in references))
