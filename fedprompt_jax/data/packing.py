"""Packs examples of many owners into grids of tokens of few static shapes.

A row is `[prompt of a][example][example]...[prompt of b][example]...`: the
prompt stands once per (row, owner). Causal attention makes its hidden states
independent of what follows, so the examples of an owner can share it exactly.

    attends(q, k) = k <= q  and  owner(q) = owner(k)
                    and (segment(k) = segment(q)  or  segment(k) = reads(q)
                         or  k is a prompt slot)
    positions     = 0 ... P-1 on the prompt; every example restarts at P
                    (at 0 behind a prefix that takes no positions)

An example is one segment, which reads itself. If its query has several targets,
as a question has choices, the query is a segment and so is each target, which
also reads the query: `reads` is the query's segment.

In a model that is not causal `k <= q` falls away, and a prompt, which reads
the text there, stands before every example: it belongs to its segment.

Which example lies in which row follows from lengths alone. With several
processes each knows all of that, and reads the tokens of its own rows.

Two owners, a prompt of 2 tokens, and three examples in one row of 10 tokens:

    >>> examples = [
    ...     Example(0, np.array([11, 12]), np.array([13])),
    ...     Example(0, np.array([14]), np.array([15, 16])),
    ...     Example(1, np.array([17]), np.array([18])),
    ... ]
    >>> packer = Packer(2, (Shape(length=10, targets=5, rows=(1,)),))
    >>> (grid,) = packer.pack(examples, [0.5, 0.5, 1.0])
    >>> def show(grid, *names):
    ...     for name in names:
    ...         print(f'{name:8}', *(f'{n:2}' for n in getattr(grid, name)[0]))
    >>> show(grid, 'tokens', 'owner', 'slot', 'segment', 'position')
    tokens    0  0 11 12 14 15  0  0 17  0
    owner     0  0  0  0  0  0  1  1  1 -1
    slot      0  1 -1 -1 -1 -1  0  1 -1 -1
    segment   0  0  1  1  2  2  0  0  3  0
    position  0  1  2  3  2  3  0  1  2  0

Token 14 (column 4) reads columns 0, 1 and 4: its owner's prompt and itself, but
not the other example of the same owner. What the loss needs stands beside it:
the label of each target and the column that predicts it.

    >>> print(grid.target_label[0], grid.target_index[0])
    [13 15 16 18  0] [3 4 5 8 0]
    >>> print(grid.target_owner[0], grid.target_weight[0])
    [ 0  0  0  1 -1] [0.5 0.5 0.5 1.  0. ]

One query, 11 12, with the choices 13 14 and 15 16 17:

    >>> choices = np.array([13, 14]), np.array([15, 16, 17])
    >>> question = Example(0, np.array([11, 12]), choices[0], more=choices[1:])
    >>> (grid,) = packer.pack([question], [1.0])
    >>> show(grid, 'tokens', 'segment', 'reads', 'position')
    tokens    0  0 11 12 13 15 16  0  0  0
    segment   0  0  1  1  2  3  3  0  0  0
    reads     0  0  1  1  1  1  1  0  0  0
    position  0  1  2  3  4  4  5  0  0  0

Token 16 (column 6) reads the prompt, the query and 15, as if 13 were not there.
The targets of all packed examples are numbered one after the other:

    >>> print(grid.target_label[0], grid.target_index[0], grid.target_number[0])
    [13 14 15 16 17] [3 4 3 5 6] [0 0 1 1 1]
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fedprompt_jax.data.examples import Example

NOBODY = -1  # the owner of padding, and the slot of an ordinary token
OPEN = 512  # rows that an example is tried in


def every_row(rows: int) -> np.ndarray:
    """bool [rows]: a process that is alone fills them all."""
    return np.ones(rows, bool)


class Grid(NamedTuple):
    """R rows of L tokens, K places for targets a row. All int32 but weight.

    Rows of other processes are padding, but for `target_number`.

    Attributes:
      tokens: [R, L]; 0 where there is a prompt slot or padding.
      owner: [R, L] index into the bank; NOBODY on padding.
      slot: [R, L] 0 ... P-1 on prompt slots; NOBODY elsewhere.
      segment: [R, L] 1, 2, ... on a row's examples, and on each target of a
        query with several; 0 on shared slots.
      reads: [R, L] the segment that a token reads besides its own: that of the
        query where it is of one of several targets, else its own.
      position: [R, L] position for the model's positional encoding.
      target_index: [R, K] column of the token that predicts the target.
      target_label: [R, K] the token to be predicted.
      target_owner: [R, K] whose loss it belongs to; NOBODY on padding.
      target_number: [R, K] which target it belongs to, counted over all packed
        examples: the example's index if each has one. NOBODY likewise.
      target_weight: f32 [R, K] its share of that loss; 0 on padding.
      is_query: [R, L] 1 on the tokens of queries, 0 elsewhere.
    """

    tokens: np.ndarray
    owner: np.ndarray
    slot: np.ndarray
    segment: np.ndarray
    reads: np.ndarray
    position: np.ndarray
    target_index: np.ndarray
    target_label: np.ndarray
    target_owner: np.ndarray
    target_number: np.ndarray
    target_weight: np.ndarray
    is_query: np.ndarray


class Shape(NamedTuple):
    """The grids of one row length.

    Attributes:
      length: L, tokens of a row, prompts included.
      targets: K, most targets of a row.
      rows: the numbers of rows that are compiled for, ascending.
    """

    length: int
    targets: int
    rows: tuple[int, ...]

    def holds(self, example: Example, prompt_length: int) -> bool:
        tokens, targets = example.num_tokens, example.num_target_tokens
        return prompt_length + tokens <= self.length and targets <= self.targets

    def grids(self, rows: int) -> list[int]:
        """Sizes of the grids that so many rows go to, largest first.

        The fewest rows in all, and of those choices the fewest grids.
        """
        # best[n]: rows in all, and sizes of grids, that hold n rows.
        best: list[tuple[int, list[int]]] = [(0, [])]
        for need in range(1, rows + 1):
            options = []
            for size in self.rows:
                total, grids = best[max(0, need - size)]
                options.append((total + size, [*grids, size]))
            best.append(min(options, key=lambda o: (o[0], len(o[1]))))
        return sorted(best[rows][1], reverse=True)


class Packer(NamedTuple):
    """Everything about packing that stays the same during a run.

    Attributes:
      prompt_length: P.
      shapes: short rows before long; an example goes to the first that holds
        it.
      first_position: of an example's first token; None for P.
      one_owner: whether a row holds a single owner always.
      shared: whether the prompt stands once per (row, owner), else before
        every example.
      my_rows: number of rows of a grid -> bool [rows], those that this process
        fills.
    """

    prompt_length: int
    shapes: tuple[Shape, ...]
    first_position: int | None = None
    one_owner: bool = False
    shared: bool = True
    my_rows: Callable[[int], np.ndarray] = every_row

    def holds(self, example: Example) -> bool:
        """Whether the example fits into a row of one of the shapes."""
        return any(s.holds(example, self.prompt_length) for s in self.shapes)

    def pack(
        self,
        examples: Sequence[Example],
        weights: Sequence[float],
        isolate: bool = False,
    ) -> list[Grid]:
        """Grids that hold every example once.

        Args:
          examples: what to pack.
          weights: weight of each example's target tokens.
          isolate: give every row a single owner, so that a non-finite owner
            cannot touch another one (0 * NaN is NaN even behind a mask).

        Raises:
          ValueError: an example fits no shape.
        """
        grids, packed = [], (examples, weights, _first_numbers(examples))
        for shape, rows in self.rows(examples, isolate):
            for size in shape.grids(len(rows)):
                now, rows = rows[:size], rows[size:]
                grids.append(self._grid(packed, now, shape, size))
        return grids

    def rows(
        self, examples: Sequence[Example], isolate: bool = False
    ) -> list[tuple[Shape, list[list[int]]]]:
        """The rows of each shape in use, as lists of example indices."""
        return [
            (shape, self._fill(examples, indices, shape, isolate))
            for shape, indices in self._by_shape(examples)
        ]

    def _by_shape(self, examples):
        chosen: dict[Shape, list[int]] = {s: [] for s in self.shapes}
        for i, e in enumerate(examples):
            fits = (s for s in self.shapes if s.holds(e, self.prompt_length))
            shape = next(fits, None)
            if shape is None:
                raise ValueError(
                    f'An example of {e.num_tokens} tokens and '
                    f'{e.num_target_tokens} targets behind a prompt of '
                    f'{self.prompt_length} fits none of {self.shapes}.'
                )
            chosen[shape].append(i)
        return [(s, i) for s, i in chosen.items() if i]

    def _fill(self, examples, indices, shape, isolate) -> list[list[int]]:
        """Rows as lists of examples: best fit, longest examples first.

        Only the latest OPEN rows are tried, so that time is linear.
        """
        isolate = isolate or self.one_owner
        # Owner by owner, so that the rows of an owner are neighbours.
        order = sorted(
            indices,
            key=lambda i: (examples[i].owner, -examples[i].num_tokens, i),
        )
        rows: list[list[int]] = []
        room = np.zeros((len(order), 2), np.int64)  # tokens, targets left
        mine = np.zeros(len(order), bool)  # rows with the prompt of `owner`
        owner = None
        for i in order:
            e = examples[i]
            if e.owner != owner:  # no row has the next owner's prompt yet
                owner, mine[:] = e.owner, False
            tried = slice(max(0, len(rows) - OPEN), len(rows))
            # [rows]: tokens that the prompt would take in each of them.
            prompt = np.where(mine[tried] & self.shared, 0, self.prompt_length)
            # [rows, 2]: tokens and targets that would be left.
            after = room[tried] - [e.num_tokens, e.num_target_tokens]
            after[:, 0] -= prompt
            fits = (after >= 0).all(1) & (mine[tried] if isolate else True)
            if fits.any():
                # A row that has the prompt already saves P tokens.
                loss = after[:, 0] + 2 * prompt
                best = int(np.argmin(np.where(fits, loss, np.iinfo(int).max)))
                row, left = tried.start + best, after[best]
            else:  # a new row, which begins with the prompt
                row = len(rows)
                rows.append([])
                used = self.prompt_length + e.num_tokens, e.num_target_tokens
                left = np.subtract(shape[:2], used)
            rows[row].append(i)
            room[row], mine[row] = left, True
        return rows

    def _grid(self, packed, rows, shape, size) -> Grid:
        grid, mine = empty_grid(size, shape), self.my_rows(size)
        examples, _, first_number = packed
        for r, row in enumerate(rows):
            if mine[r]:
                self.write_row(grid, r, row, *packed)
            else:  # its losses will be read here all the same
                of = [target_numbers(examples[i], first_number[i]) for i in row]
                written = np.concatenate(of)
                grid.target_number[r, : len(written)] = written
        return grid

    def write_row(
        self, grid: Grid, r: int, row, examples, weights, first_number
    ) -> None:
        """Writes a row: the examples of the indices `row`, owner by owner."""
        at = done = 0  # the next free column and the next free target
        segment = 1  # the next example's
        owner, first = None, self.first_position
        first = self.prompt_length if first is None else first
        for i in row:
            e = examples[i]
            # 1. The prompt, once for an owner or before every example.
            if e.owner != owner or not self.shared:
                owner, end = e.owner, at + self.prompt_length
                grid.owner[r, at:end] = owner
                grid.slot[r, at:end] = np.arange(self.prompt_length)
                grid.segment[r, at:end] = 0 if self.shared else segment
                grid.position[r, at:end] = np.arange(self.prompt_length)
                grid.reads[r, at:end] = grid.segment[r, at:end]
                at = end
            # 2. The example's tokens; its positions restart behind the prompt.
            # All of them read the query, each target in a segment of its own.
            end, t = at + e.num_tokens, e.num_target_tokens
            grid.tokens[r, at:end] = e.tokens
            grid.owner[r, at:end] = owner
            grid.segment[r, at:end] = segment + e.segment
            grid.reads[r, at:end] = segment
            grid.is_query[r, at : at + len(e.query)] = 1
            grid.position[r, at:end] = first + e.place
            # 3. Its targets: the columns that predict them, their weights.
            where = slice(done, done + t)
            grid.target_index[r, where] = at + e.target_index
            grid.target_label[r, where] = np.concatenate(e.targets)
            grid.target_owner[r, where] = owner
            grid.target_number[r, where] = target_numbers(e, first_number[i])
            grid.target_weight[r, where] = weights[i]
            segment = grid.segment[r, end - 1] + 1
            at, done = end, done + t


def _first_numbers(examples: Sequence[Example]) -> np.ndarray:
    """The number of each example's first target, over all examples, [n]."""
    counts = [len(e.targets) for e in examples]
    return np.cumsum([0, *counts[:-1]])


def target_numbers(e: Example, first: int) -> np.ndarray:
    """int [T]: which target each target token is of, counted from `first`."""
    counts = [len(t) for t in e.targets]
    return first + np.repeat(np.arange(len(counts)), counts)


def empty_grid(rows: int, shape: Shape) -> Grid:
    """A grid of padding alone."""

    def full(width, value, dtype=np.int32):
        return np.full((rows, width), value, dtype)

    n, k = shape.length, shape.targets
    return Grid(
        tokens=full(n, 0),
        owner=full(n, NOBODY),
        slot=full(n, NOBODY),
        segment=full(n, 0),
        reads=full(n, 0),
        position=full(n, 0),
        target_index=full(k, 0),
        target_label=full(k, 0),
        target_owner=full(k, NOBODY),
        target_number=full(k, NOBODY),
        target_weight=full(k, 0, np.float32),
        is_query=full(n, 0),
    )
