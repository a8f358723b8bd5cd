"""Instances tokenised once, in a folder of memory-mapped arrays.

The folder's name is the fingerprint of the data, the tokenizer and the
template, so that a second start with the same three only opens it.
"""

import dataclasses
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from fedprompt_jax.data import tokenizing
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.tokenizing import Source, Template, Tokenizer

VERSION = 4  # of the folder's layout and of how texts become tokens


@dataclasses.dataclass(frozen=True, eq=False)
class TokenStore:
    """I instances of a data set, their tokens and their texts.

    Attributes:
      fingerprint: of data, tokenizer and template.
      objective: of the model: 'causal_lm', 'masked_lm' or 'seq2seq_lm'.
      mask_id: the token that a masked language model predicts at, or None.
      tasks: metadata of each task (the fields of sni_task.Task that describe
        it, and 'num_instances').
      truncated: how many queries and targets lost their end.
      merged: how many answers the tokenizer joins to the end of their query.
      largest_token: the largest token id of all queries, targets and choices.
      client_names: [N], sorted; empty where the data have no clients.
      task_of: int32 [I] index into `tasks`.
      query_tokens, query_starts: int32 [all], int64 [I + 1].
      target_tokens, target_starts: likewise, of the first reference.
      choice_tokens, choice_starts: likewise, of M choices, without an end.
      first_choice: int64 [I + 1], where an instance's choices begin.
      client_of: int32 [I] whose an instance is, an index of client_names, -1
        for nobody's; [0] where the data have no clients.
      split_of: int8 [I] index into splits.SPLITS, by the data's own splits, -1
        for none; [0] where they are not asked for.
      records, record_starts: JSON of {id, input, outputs}, and of choices,
        client and pair where there are any: uint8, int64.
    """

    fingerprint: str
    objective: str
    mask_id: int | None
    tasks: list[dict[str, Any]]
    truncated: dict[str, int]
    merged: int
    largest_token: int
    client_names: list[str]
    task_of: np.ndarray
    query_tokens: np.ndarray
    query_starts: np.ndarray
    target_tokens: np.ndarray
    target_starts: np.ndarray
    choice_tokens: np.ndarray
    choice_starts: np.ndarray
    first_choice: np.ndarray
    client_of: np.ndarray
    split_of: np.ndarray
    records: np.ndarray
    record_starts: np.ndarray

    def __len__(self) -> int:
        return len(self.task_of)

    def query(self, i: int) -> np.ndarray:
        """Token ids int32 [q] of instance i's query."""
        return self.query_tokens[
            self.query_starts[i] : self.query_starts[i + 1]
        ]

    def target(self, i: int) -> np.ndarray:
        """Token ids int32 [t] of instance i's first reference and its end."""
        start, end = self.target_starts[i], self.target_starts[i + 1]
        return self.target_tokens[start:end]

    def choices(self, i: int) -> list[np.ndarray]:
        """Token ids int32 [t] of each of instance i's choices, no end."""
        first, last = self.first_choice[i], self.first_choice[i + 1]
        starts = self.choice_starts[first : last + 1]
        pairs = itertools.pairwise(starts)
        return [self.choice_tokens[a:b] for a, b in pairs]

    def example(
        self, owner: int, i: int, target: np.ndarray | None = None
    ) -> Example:
        """Instance i as an example of one owner of a bank.

        Args:
          owner: index into the bank.
          i: the instance.
          target: token ids int32 [t] in place of its own target.
        """
        query = self.query(i)
        target = self.target(i) if target is None else target
        if self.objective == 'causal_lm':
            return Example(owner, query, target)
        if self.objective == 'masked_lm':
            at = np.flatnonzero(query == self.mask_id)
        else:
            at = np.full(len(target), len(query) - 1)
        return Example(owner, query, target, at)

    def record(self, i: int) -> dict[str, Any]:
        """The text of instance i: {'id', 'input', 'outputs': [...], ...}."""
        start, end = self.record_starts[i], self.record_starts[i + 1]
        return json.loads(self.records[start:end].tobytes())

    @property
    def query_lengths(self) -> np.ndarray:
        """int64 [I]."""
        return np.diff(self.query_starts)

    @property
    def target_lengths(self) -> np.ndarray:
        """int64 [I]."""
        return np.diff(self.target_starts)

    @property
    def num_choices(self) -> np.ndarray:
        """int64 [I]; 0 where the answer is free text."""
        return np.diff(self.first_choice)

    @property
    def scored_lengths(self) -> np.ndarray:
        """Tokens of the longest of target and choices, int64 [I]."""
        longest, some = self.target_lengths, self.num_choices > 0
        if some.any():
            # Instances without choices have no place between two starts.
            starts = self.first_choice[:-1][some]
            chosen = np.maximum.reduceat(np.diff(self.choice_starts), starts)
            longest[some] = np.maximum(longest[some], chosen)
        return longest

    def row_lengths(
        self, instances: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """Tokens of the rows of instances [n] with targets as long [n]."""
        more = targets - 1 if self.objective == 'causal_lm' else 0
        return self.query_lengths[instances] + more


def open_store(
    source: Source,
    tokenizer: Tokenizer,
    template: Template,
    folder: Path,
    objective: str = 'causal_lm',
) -> TokenStore:
    """The store of a data set, made in `folder` if it is not there yet.

    Args:
      source: the data set.
      tokenizer: the model's.
      template: how queries are made.
      folder: where stores live (`<cache>/tokens`).
      objective: what the model predicts, see TokenStore. An encoder's query
        ends with the end-of-sequence token; a masked model's target does not,
        and has as many tokens as the query has masks.

    Raises:
      ValueError: the data is malformed, or a query has no token.
    """
    parts = [VERSION, source.fingerprint, tokenizer.fingerprint]
    name = json.dumps([*parts, objective, dataclasses.astuple(template)])
    fingerprint = hashlib.sha256(name.encode()).hexdigest()
    path = folder / fingerprint[:20]
    if not path.exists():
        tokenizing.write(source, tokenizer, template, objective, path)
    meta = json.loads((path / 'meta.json').read_text('utf-8'))
    arrays = {
        field.name: np.load(path / f'{field.name}.npy', mmap_mode='r')
        for field in dataclasses.fields(TokenStore)
        if field.type is np.ndarray
    }
    return TokenStore(
        fingerprint,
        objective,
        tokenizer.mask_id,
        meta['tasks'],
        meta['truncated'],
        meta['merged'],
        meta['largest_token'],
        meta['client_names'],
        **arrays,
    )
