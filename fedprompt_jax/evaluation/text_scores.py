"""ROUGE-L and exact match of a prediction, as Super-NaturalInstructions does.

Both are the maximum over the references, between 0 and 1 here; tables show
100 times the mean. (Wang et al. 2022, section 5.1, and its evaluation script.)
"""

from collections.abc import Callable, Sequence
import functools
import string
import unicodedata

SETTINGS = {
    'rouge_l': 'rouge_score rougeL F1, stemmer, max over references',
    'exact_match': 'lowercase, no punctuation, single spaces, max likewise',
}

_PUNCTUATION = str.maketrans('', '', string.punctuation)


class _Tokenizer:
    """A tokenizer as rouge_score expects it, made of a function."""

    def __init__(self, split: Callable[[str], list[str]]) -> None:
        self.tokenize = split


@functools.cache
def _scorer(split: Callable[[str], list[str]] | None):
    from rouge_score import rouge_scorer  # imports nltk: two seconds

    if split is None:
        return rouge_scorer.RougeScorer(['rougeL'], use_stemmer=True)
    return rouge_scorer.RougeScorer(['rougeL'], tokenizer=_Tokenizer(split))


@functools.cache
def _tokenizer():
    from rouge_score import tokenizers

    return tokenizers.DefaultTokenizer(use_stemmer=True)


def rouge_l(
    prediction: str,
    references: Sequence[str],
    split: Callable[[str], list[str]] | None = None,
) -> float:
    """Best F1 over the references.

    Args:
      prediction: a text.
      references: one or more texts.
      split: cuts a text into tokens, for languages other than English; None
        is rouge_score's own way with its stemmer, which keeps a-z and 0-9
        alone and would score identical Japanese texts 0.
    """
    scorer = _scorer(split)
    scores = (scorer.score(r, prediction)['rougeL'] for r in references)
    return max(s.fmeasure for s in scores)


def words(text: str) -> list[str]:
    """The words that ROUGE compares: of a-z and 0-9, lower-cased, stemmed."""
    return _tokenizer().tokenize(text)


def characters(text: str) -> list[str]:
    """The characters of the lower-cased text, without white space.

    An accent that follows its letter as a character of its own is joined to
    it, so that both ways of writing 'é' are equal.
    """
    joined = unicodedata.normalize('NFC', text.lower())
    return [c for c in joined if not c.isspace()]


def normalise(text: str) -> str:
    """Lowercase, without punctuation, spaces collapsed."""
    return ' '.join(text.lower().translate(_PUNCTUATION).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1.0 if the prediction equals some reference, both normalised."""
    return float(normalise(prediction) in {normalise(r) for r in references})
