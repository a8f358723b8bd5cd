"""The data of whole_run_torch.py: texts, tokens, and who has what.

It reads the files by itself. Splits, partitions and the generators of draws are
the project's public functions, of which it takes numbers of tasks, instances
and clients alone.
"""

import dataclasses
import json
from pathlib import Path

from ml_collections import config_dict
import numpy as np
import tokenizers

from fedprompt_jax.data import partitions, sampling, splits
from fedprompt_jax.data.randomness import generator

# Instances [i] of each batch; of each client; of each step of each client.
Batch = list[int]


@dataclasses.dataclass
class Instance:
    """One line of a task; int [n] query, target with its end."""

    task: str
    category: str
    id: str
    input: str
    outputs: list[str]
    query: list[int]
    target: list[int]


@dataclasses.dataclass
class HeldOut:
    """Clients of one split: instances to train on, to score, and common."""

    clients: list[int]
    train: list[list[int]]
    local: list[list[int]]
    common: list[int]


class _Numbers:
    """In place of a token store: an example is its owner and its instance."""

    def example(self, owner: int, i: int) -> tuple[int, int]:
        return owner, i


class Data:
    """All that a run reads.

    Attributes:
      instances: by the number of their task, then as they come.
      population: the instances of each training client.
      validation: the clients that choose a prompt.
      held_out: those of stage 2.
    """

    def __init__(self, config: config_dict.ConfigDict, end: int) -> None:
        """Reads the files of a config.

        Args:
          config: of the run.
          end: the end token.
        """
        self.config, self.end = config, end
        file = Path(config.model.source) / 'tokenizer.json'
        self.tokenizer = tokenizers.Tokenizer.from_file(str(file))
        self.instances = self._read(Path(config.data.path) / 'tasks')
        tasks = list(dict.fromkeys(x.task for x in self.instances))
        category = {x.task: x.category for x in self.instances}
        self._tasks = tasks
        self._split_of = splits.assign_splits(
            tasks,
            [category[task] for task in tasks],
            config.data.splits,
            config.seed,
        ).split_of_task
        train = self._clients('train', config.data.partition)
        # Held-out clients have one task type each, in every partition.
        validation = self._clients('validation', 'high')
        test = self._clients('test', 'high')
        self._check_splits(train, validation, test)
        self.population = train
        if config.algorithm == 'centralized':  # one client has it all
            self.population = [[i for own in train for i in own]]
        v, p = config.validation, config.personalization
        self.validation = self._hold_out(
            validation, v.clients, 0, v.examples, 0
        )
        self.held_out = self._hold_out(
            test,
            p.clients,
            p.train_examples,
            p.eval_examples,
            p.global_examples,
        )

    def _read(self, folder: Path) -> list[Instance]:
        found = []
        for file in sorted(folder.glob('task*.json')):
            task = json.loads(file.read_text())
            for raw in task['Instances']:
                query, target = self._tokens(
                    task['Definition'][0], raw['input'], raw['output'][0]
                )
                found.append(
                    Instance(
                        file.stem,
                        task['Categories'][0],
                        raw['id'],
                        raw['input'],
                        raw['output'],
                        query,
                        target,
                    )
                )
        return found

    def _tokens(
        self, definition: str, text: str, answer: str
    ) -> tuple[list[int], list[int]]:
        """Query and target.

        The end of a query that is too long is cut off before the separator;
        so is that of a target, with its end token.
        """
        c = self.config.data
        assert c.template == '{definition} {input}', c.template
        assert c.target == ' {output}', c.target
        body = f'{definition} {text}'
        separator = self._ids(c.separator)
        query = self._ids(body)[: c.max_query - len(separator)] + separator
        read = self._ids(f'{body}{c.separator}')
        whole = self._ids(f'{body}{c.separator} {answer}')
        target = [*whole[len(read) :], self.end]
        return query, target[: c.max_target]

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def _clients(self, split: str, kind: str) -> list[list[int]]:
        """The instances of each client of a split."""
        number = splits.SPLITS.index(split)
        inside = [
            i
            for i, x in enumerate(self.instances)
            if self._split_of[self._tasks.index(x.task)] == number
        ]
        categories = sorted({x.category for x in self.instances})
        chosen = [self.instances[i] for i in inside]
        found = partitions.partition(
            kind,
            np.array([self._tasks.index(x.task) for x in chosen]),
            np.array([categories.index(x.category) for x in chosen]),
            self.config.data.client_size,
            self.config.seed,
        )
        return [[inside[j] for j in found[k]] for k in range(len(found))]

    def _check_splits(self, *parts: list[list[int]]) -> None:
        """No instance is in two clients, and no category in two splits."""
        everyone = [i for part in parts for own in part for i in own]
        assert len(set(everyone)) == len(everyone)
        types = [
            {self.instances[i].category for own in part for i in own}
            for part in parts
        ]
        assert len(set.union(*types)) == sum(map(len, types))
        assert 'Mathematics' not in set.union(*types)  # Profit leaves it out
        for part in parts[1:]:
            for own in part:
                assert len({self.instances[i].category for i in own}) == 1

    def _hold_out(
        self, population, clients: int, train: int, local: int, common: int
    ) -> HeldOut:
        """Draws clients, and cuts the instances of each in two."""
        seed = self.config.seed
        drawn = generator(seed, 'held-out clients').choice(
            len(population), clients, replace=False
        )
        held_out = HeldOut(sorted(drawn.tolist()), [], [], [])
        for i, client in enumerate(held_out.clients):
            own = population[client]
            rng = generator(seed, 'held-out examples', client)
            order = rng.permutation(own).tolist()
            assert sorted(order) == sorted(own)
            # In the proportion that is asked for, where there are too few.
            n = min(local, max(1, len(own) * local // (train + local)))
            held_out.local.append(order[:n])
            held_out.train.append(order[n : n + train])
            # As evenly as it goes: the first clients give one more.
            share = common // clients + (i < common % clients)
            held_out.common += order[: min(n, share)]
        return held_out

    def cohort(self, round: int) -> tuple[list[int], list[list[Batch]]]:
        """The clients of a round, and the batches of each."""
        c = self.config
        cohort = sampling.sample_cohort(
            _Numbers(),  # type: ignore
            [np.array(own) for own in self.population],
            size=c.clients_per_round,
            num_steps=c.local_steps,
            batch_size=c.batch_size,
            seed=c.seed,
            round=round,
        )
        clients = cohort.clients.tolist()
        batches = _by_owner(cohort.steps, len(clients))
        for client, own in zip(clients, batches, strict=True):
            drawn = [i for batch in own for i in batch]
            assert set(drawn) <= set(self.population[client])
            assert len(set(drawn)) == len(drawn)  # no client is that small
        return clients, batches

    def epoch(self, number: int) -> list[list[Batch]]:
        """The batches of each client of stage 2 in an epoch."""
        c = self.config
        steps = sampling.epoch_steps(
            _Numbers(),  # type: ignore
            [np.array(own) for own in self.held_out.train],
            self.held_out.clients,
            batch_size=c.personalization.batch_size,
            seed=c.seed,
            epoch=number,
        )
        batches = _by_owner(steps, len(self.held_out.clients))
        for own, train in zip(batches, self.held_out.train, strict=True):
            assert sorted(i for batch in own for i in batch) == sorted(train)
        return batches

    def initial_prompt(self, width: int) -> np.ndarray:
        """f32 [P, D] of N(0, scale^2)."""
        c = self.config
        assert c.prompt.init == 'normal', c.prompt.init
        rng = generator(c.seed, 'initial prompt')
        return np.float32(
            c.prompt.scale * rng.normal(size=(c.prompt.length, width))
        )


def _by_owner(steps, num_owners: int) -> list[list[Batch]]:
    """The batches of each owner, those without an example left out."""
    batches: list[list[Batch]] = [[] for _ in range(num_owners)]
    for step in steps:
        for owner in sorted({owner for owner, _ in step}):
            batches[owner].append([i for o, i in step if o == owner])
    return batches
