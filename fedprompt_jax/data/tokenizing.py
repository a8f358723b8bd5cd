"""A data set's instances, made into the arrays that a token store opens."""

from collections.abc import Callable, Iterable, Iterator
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fedprompt_jax import files
from fedprompt_jax.data.encoding import Encoder, Template, Tokenizer
from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.splits import SPLITS


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set before it is read.

    Attributes:
      name: what progress bars call it.
      fingerprint: hash of its content.
      tasks: reads it.
      warnings: what a reader of the results has to know about it.
      unordered: whether the order of its tasks and instances says nothing, as
        that of the rows of a table.
    """

    name: str
    fingerprint: str
    tasks: Callable[[], Iterable[Task]]
    warnings: tuple[str, ...] = ()
    unordered: bool = False


def write(
    source: Source,
    tokenizer: Tokenizer,
    template: Template,
    objective: str,
    folder: Path,
) -> None:
    """Tokenises a data set into a folder, which appears whole or not at all.

    Args: see store.open_store.
    """
    with files.whole_folder(folder) as temporary:
        writer = _Writer(tokenizer, template, objective)
        tasks = source.tasks()
        if source.unordered:
            tasks = in_canonical_order(tasks)
        bar = tqdm(tasks, desc=f'tokenizing {source.name}', unit='task')
        for task in bar:
            writer.add(task)
        writer.save(temporary)


def in_canonical_order(tasks: Iterable[Task]) -> Iterator[Task]:
    """The tasks by name, their instances by content, equal ones as they came.

    Clients and examples are drawn by number. Numbers that follow the content
    make the draws depend on the rows of a data set and not on their order.
    """

    def content(x: Instance):
        return x.client, x.input, x.outputs, x.pair, x.choices, x.split

    for task in sorted(tasks, key=lambda task: task.name):
        instances = tuple(sorted(task.instances, key=content))
        yield dataclasses.replace(task, instances=instances)


class _Writer:
    """Collects tasks; about 4 bytes a token stay in memory until saved."""

    def __init__(
        self, tokenizer: Tokenizer, template: Template, objective: str
    ) -> None:
        self.tokenizer, self.template = tokenizer, template
        self.masked = objective == 'masked_lm'
        self.encoder = Encoder(tokenizer, template, objective)
        self.tasks: list[dict[str, Any]] = []
        self.truncated_targets = 0
        self.largest = 0
        self.task_of: list[np.ndarray] = []
        self.num_choices: list[int] = []
        self.clients: dict[str, int] = {'': -1}
        self.client_of: list[int] = []
        self.split_of: list[int] = []
        self.rows: dict[str, list[np.ndarray]] = {
            'query': [], 'target': [], 'choice': [], 'record': []
        }  # fmt: skip

    def add(self, task: Task) -> None:
        encoded = self.encoder.encode(task)
        for x, ids in zip(task.instances, encoded, strict=True):
            where = f'{task.name}: instance {x.id}'
            self._add_tokens(where, ids.query, ids.target)
            for row in (ids.query, ids.target, *ids.choices):
                self.largest = max(self.largest, *row, 0)
            for choice, tokens in zip(x.choices, ids.choices, strict=True):
                self._add_choice(f'{where}: {choice!r}', ids.query, tokens)
            self.num_choices.append(len(x.choices))
            number = self.clients.setdefault(x.client, len(self.clients) - 1)
            self.client_of.append(number)
            self.split_of.append(SPLITS.index(x.split) if x.split else -1)
            text = json.dumps(_record(x), ensure_ascii=False)
            self.rows['record'].append(np.frombuffer(text.encode(), np.uint8))
        n = len(task.instances)
        self.task_of.append(np.full(n, len(self.tasks), np.int32))
        self.tasks.append(_metadata(task) | {'num_instances': n})

    def _add_choice(self, where: str, query, tokens: list[int]) -> None:
        if not 0 < len(tokens) <= self.template.max_target:
            raise ValueError(
                f'{where} has {len(tokens)} tokens as a target, and a choice '
                'needs at least 1 and at most config.data.max_target='
                f'{self.template.max_target}; raise that, or mend the data.'
            )
        if self.masked:
            self._check_masks(where, query, tokens)
        self.rows['choice'].append(np.array(tokens, np.int32))

    def _add_tokens(self, where: str, query: list[int], target) -> None:
        if self.masked:
            self._check_masks(where, query, target)
        else:
            target = [*target, self.tokenizer.eos_id]
        self.truncated_targets += len(target) > self.template.max_target
        target = target[: self.template.max_target]
        self.rows['query'].append(np.array(query, np.int32))
        self.rows['target'].append(np.array(target, np.int32))

    def _check_masks(self, where: str, query: list[int], target) -> None:
        mask = self.tokenizer.mask_id
        masks = sum(token == mask for token in query)
        if masks and masks == len(target):
            return
        text = self.template.text
        if '{mask}' in text and not masks:
            raise ValueError(
                f'{where}: the mask of config.data.template={text!r} lies '
                f'beyond config.data.max_query={self.template.max_query} '
                'tokens; raise that, or put {mask} into config.data.separator.'
            )
        if not masks:
            raise ValueError(
                f'{where}: the query has no mask, at which a masked language '
                'model predicts; put {mask} into config.data.separator, as in '
                "' It was {mask} .'."
            )
        raise ValueError(
            f'{where}: the answer has {len(target)} tokens, but the query has '
            f'{masks} mask(s), one for each; a masked language model chooses '
            'among words of as many tokens: use other words, with a space '
            "before them (config.data.target=' {output}'), or more masks."
        )

    def save(self, folder: Path) -> None:
        if not self.tasks:
            raise ValueError(
                'The data set has no instance: look at config.data.path.'
            )
        np.save(folder / 'task_of.npy', np.concatenate(self.task_of))
        for name, rows in self.rows.items():
            kind = 'records' if name == 'record' else f'{name}_tokens'
            starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
            whole = np.concatenate(rows) if rows else np.empty(0, np.int32)
            np.save(folder / f'{kind}.npy', whole)
            np.save(folder / f'{name}_starts.npy', starts)
        first = np.cumsum([0, *self.num_choices], dtype=np.int64)
        np.save(folder / 'first_choice.npy', first)
        names, client_of = _numbered(self.clients, self.client_of)
        np.save(folder / 'client_of.npy', client_of)
        split_of = np.array(self.split_of, np.int8)
        if (split_of < 0).all():
            split_of = split_of[:0]
        np.save(folder / 'split_of.npy', split_of)
        meta = {
            'tasks': self.tasks,
            'truncated': {
                'queries': self.encoder.truncated,
                'targets': self.truncated_targets,
            },
            'merged': self.encoder.merged,
            'largest_token': self.largest,
            'client_names': names,
        }
        (folder / 'meta.json').write_text(json.dumps(meta), 'utf-8')


def _numbered(
    clients: dict[str, int], client_of: list[int]
) -> tuple[list[str], np.ndarray]:
    """The names of the clients, sorted, and whose each instance is.

    Args:
      clients: name -> number in the order of appearance; -1 for no name.
      client_of: [I], such numbers.

    Returns:
      Names [N], and int32 [I] indices of them, -1 for nobody's; both empty
      where no instance has a client.
    """
    names = sorted(clients.keys() - {''})
    if not names:
        return [], np.empty(0, np.int32)
    place = np.full(len(names) + 1, -1, np.int32)  # the last: of number -1
    place[[clients[name] for name in names]] = np.arange(len(names))
    return names, place[client_of]


def _record(x: Instance) -> dict[str, Any]:
    record = {'id': x.id, 'input': x.input, 'outputs': x.outputs}
    more: dict[str, Any] = {
        'choices': x.choices,
        'client': x.client,
        'pair': x.pair,
        'beginning': x.beginning,
    }
    return record | {key: value for key, value in more.items() if value}


def _metadata(task: Task) -> dict[str, Any]:
    """All of a task but its instances, as JSON has it."""
    fields = (f.name for f in dataclasses.fields(task))
    return {f: getattr(task, f) for f in fields if f != 'instances'}
