"""ROUGE-L and exact match of a prediction, as Super-NaturalInstructions does.

Both are the maximum over the references, between 0 and 1 here; tables show
100 times the mean. (Wang et al. 2022, section 5.1, and its evaluation script.)
"""

from collections.abc import Sequence
import functools
import string

SETTINGS = {
    'rouge_l': 'rouge_score rougeL F1, stemmer, max over references',
    'exact_match': 'lowercase, no punctuation, single spaces, max likewise',
}

_PUNCTUATION = str.maketrans('', '', string.punctuation)


@functools.cache
def _scorer():
    from rouge_score import rouge_scorer  # imports nltk: two seconds

    return rouge_scorer.RougeScorer(['rougeL'], use_stemmer=True)


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """Best F1 over the references.

    The scorer's tokenizer keeps a-z and 0-9 alone: it is for English.
    """
    scores = (_scorer().score(r, prediction)['rougeL'] for r in references)
    return max(s.fmeasure for s in scores)


def normalise(text: str) -> str:
    """Lowercase, without punctuation, spaces collapsed."""
    return ' '.join(text.lower().translate(_PUNCTUATION).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1.0 if the prediction equals some reference, both normalised."""
    return float(normalise(prediction) in {normalise(r) for r in references})
