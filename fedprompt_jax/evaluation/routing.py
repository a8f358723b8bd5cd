"""A router: each example is answered by its owner's prompt or the shared one.

It looks at no reference. An example goes to the owner's prompt where that is
more confident than the shared one by more than a threshold. Confidence is a
mean of log p in nats a token:

    query     of the query's tokens, behind the prompt alone
    answer    of the answer that the prompt gives: of the generated text with
              its end token, or of the chosen option

A causal model gives both from one reading of [prompt][query][answer]. The
query's first token is left out for both prompts: a packed row begins to predict
behind it. An encoder or a masked model has no likelihood of the query.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.evaluation.scoring import Request, Scorer, Scores

QUERY, ANSWER = 'query', 'answer'  # rules
OWN, SHARED = 'personalized', 'global'  # which prompt a record is of


class Ends(NamedTuple):
    """How a generated answer ends.

    Attributes:
      ids: the tokens that end it.
      most: the longest answer, which has no end if it is as long.
    """

    ids: tuple[int, ...]
    most: int


class Confidence(NamedTuple):
    """Mean log p of n requests in nats a token; NaN where nothing is known.

    Attributes:
      query: f64 [n].
      answer: f64 [n].
    """

    query: np.ndarray
    answer: np.ndarray


class Pair(NamedTuple):
    """Both prompts' results for n requests, the owner's first.

    Attributes:
      scores: of each prompt.
      confidence: of each prompt.
    """

    scores: tuple[Scores, Scores]
    confidence: tuple[Confidence, Confidence]

    def difference(self, rule: str) -> np.ndarray:
        """Own less shared confidence by a rule, f64 [n]; 0 if unknown."""
        own, shared = (getattr(c, rule) for c in self.confidence)
        return np.nan_to_num(own - shared, nan=0.0)

    def takes_own(self, rule: str, threshold: float) -> np.ndarray:
        """Whether the owner's prompt answers, bool [n].

        An owner whose prompt is not finite keeps its scores, which are NaN:
        the client is dropped, as it is from the personalized scores.
        """
        dead = ~np.isfinite(self.scores[0].rouge_l)
        return (self.difference(rule) > threshold) | dead


class Comparison:
    """Scores the prompts of owners against one that they share.

    The results are remembered, so that several rules share the work.

    Attributes:
      evaluator: scores and computes losses.
      shared: a bank that has the shared prompt in each place, leaves [C, ...].
      ends: of generated answers.
      queries: whether the query's likelihood is computed.
    """

    def __init__(
        self, evaluator: Scorer, shared: Any, ends: Ends, queries: bool
    ) -> None:
        self.evaluator, self.shared = evaluator, shared
        self.ends, self.queries = ends, queries
        self._known: tuple[Any, list[Request], Pair] | None = None

    def by(self, rule: str, threshold: float) -> 'Router':
        """The scorer that routes by a rule."""
        return Router(self, rule, threshold)

    def pair(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Pair:
        """Both prompts' results, from the calls that score each alone.

        Args:
          bank: prompts of C owners, leaves [C, ...].
          requests: any owners with any instances.
          progress: what progress bars say.
        """
        requests = list(requests)
        if self._known and self._known[0] is bank:
            if self._known[1] == requests:
                return self._known[2]
        # The shared prompt answers an instance once, whoever asks: these are
        # the requests, and so the bits, of its own scores.
        place: dict[Request, int] = {}
        for r in requests:
            place.setdefault(Request(0, r.instance), len(place))
        at = [place[Request(0, r.instance)] for r in requests]
        own = self.evaluator.score(bank, requests, progress)
        shared = self.evaluator.score(self.shared, list(place), progress)
        confidence = self._confidence(bank, requests, own)
        of_shared = self._confidence(self.shared, list(place), shared)
        found = Pair(
            (own, _taken(shared, at)),
            (confidence, Confidence(*(x[at] for x in of_shared))),
        )
        self._known = bank, requests, found
        return found

    def _confidence(
        self, bank, requests: Sequence[Request], scores: Scores
    ) -> Confidence:
        """Of each request under its owner's prompt."""
        query, answer = np.full((2, len(requests)), np.nan)
        store = self.evaluator.store
        examples: list[Example] = []
        parts: list[tuple[int, int]] = []  # request, targets of its query
        for i, request in enumerate(requests):
            outputs = with_end(scores.outputs[i], self.ends)
            if len(scores.choice_losses[i]):  # the option's are known
                answer[i] = _of_choice(store, request, scores, i)
                outputs = [np.zeros(0, np.int32)] if self.queries else []
            for output in outputs:
                example, split = _example(store, request, output, self.queries)
                if example is not None:
                    examples.append(example)
                    parts.append((i, split))
        losses = self.evaluator.token_losses(bank, examples)
        for (i, split), values in zip(parts, losses, strict=True):
            if split:
                query[i] = -values[:split].mean()
            if len(values) > split:  # of several ends the likeliest
                answer[i] = np.fmax(answer[i], -values[split:].mean())
        alive = np.isfinite(scores.rouge_l)
        return Confidence(
            np.where(alive, query, np.nan), np.where(alive, answer, np.nan)
        )


class Router(NamedTuple):
    """Scores the answers of a router as an Evaluator does a prompt's.

    Attributes:
      comparison: of both prompts.
      rule: QUERY or ANSWER.
      threshold: nats a token by which the owner's prompt must be more
        confident; -inf takes it always, inf never.
    """

    comparison: Comparison
    rule: str
    threshold: float

    @property
    def store(self) -> TokenStore:
        """Tokens and texts."""
        return self.comparison.evaluator.store

    def score(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Scores:
        """Scores of each request, which are those of one of the prompts.

        Args:
          bank: prompts of C owners, leaves [C, ...].
          requests: any owners with any instances.
          progress: what progress bars say; '' shows none.
        """
        pair = self.comparison.pair(bank, requests, progress)
        own = pair.takes_own(self.rule, self.threshold)
        return chosen(pair, own)._replace(notes=notes(pair, own))


def chosen(pair: Pair, own: np.ndarray) -> Scores:
    """The scores of the owner's prompt where `own`, bool [n], else shared."""
    mine, shared = pair.scores

    def pick(a, b):
        if isinstance(a, np.ndarray):
            return np.where(own, a, b)
        return [x if o else y for o, x, y in zip(own, a, b, strict=True)]

    pairs: Any = zip(mine, shared, strict=True)
    values: Any = (pick(a, b) if len(a) and len(b) else () for a, b in pairs)
    return Scores(*values)


def notes(pair: Pair, own: np.ndarray) -> list[Mapping[str, Any]]:
    """What a threshold can be fitted from later, of each request."""

    def of(k: int, i: int) -> dict[str, float]:
        scores, confidence = pair.scores[k], pair.confidence[k]
        return {
            'query_log_p': float(confidence.query[i]),
            'answer_log_p': float(confidence.answer[i]),
            'rouge_l': float(scores.rouge_l[i]),
            'exact_match': float(scores.exact_match[i]),
        }

    return [
        {
            'routing': {
                'taken': OWN if own[i] else SHARED,
                OWN: of(0, i),
                SHARED: of(1, i),
            }
        }
        for i in range(len(own))
    ]


def with_end(output: np.ndarray, ends: Ends) -> list[np.ndarray]:
    """An answer behind which an end was generated, with each that it can be.

        >>> with_end(np.array([7, 8]), Ends((2, 3), 4))
        [array([7, 8, 2]), array([7, 8, 3])]
        >>> with_end(np.array([7, 8, 9, 7]), Ends((2, 3), 4))
        [array([7, 8, 9, 7])]

    Args:
      output: int [t], the generated tokens without an end.
      ends: how answers end. Greedy decoding takes the likeliest end.
    """
    if len(output) >= ends.most:
        return [output]
    return [np.append(output, end).astype(output.dtype) for end in ends.ids]


def _example(
    store: TokenStore, request: Request, output: np.ndarray, queries: bool
) -> tuple[Example | None, int]:
    """What is read of a request, and how many of its targets are the query.

    Args:
      store: of the instance.
      request: the owner and the instance.
      output: int [t], the tokens of the answer.
      queries: whether the query's tokens are targets too, of a causal model.
    """
    owner, instance = request
    if not queries:
        return store.example(owner, instance, target=output), 0
    query = store.query(instance)
    target = np.concatenate([query[1:], output])
    # A query of one token, and no answer: nothing is predicted.
    example = Example(owner, query[:1], target) if len(target) else None
    return example, len(query) - 1


def _of_choice(
    store: TokenStore, request: Request, scores: Scores, i: int
) -> float:
    """Mean log p of the option that was chosen, without an end."""
    options = store.record(request.instance)['choices']
    k = options.index(scores.predictions[i])
    return -scores.choice_losses[i][k] / len(store.choices(request.instance)[k])


def _taken(scores: Scores, at: Sequence[int]) -> Scores:
    """The scores in these places, in this order."""

    def there(x):
        if not len(x):
            return ()
        return x[at] if isinstance(x, np.ndarray) else [x[i] for i in at]

    return Scores(*map(there, scores))
