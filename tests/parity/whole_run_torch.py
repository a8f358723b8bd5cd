"""The whole run of whole_run.py once more, in PyTorch and NumPy.

It takes from the project's functions of data, as numbers of tasks, instances
and clients, how tasks are split, instances are partitioned, and cohorts and
batches are drawn: see whole_run_data.py; other tests state their laws. It
computes everything else itself: rounds and epochs, the choice of a prompt,
greedy texts by a forward pass a token, scores, tables and metrics. It reads one
example at a time, so that nothing is padded or packed.
"""

import collections
from collections.abc import Callable, Sequence
import dataclasses
import re
from typing import Any

from ml_collections import config_dict
import numpy as np
import torch

from tests.parity.whole_run import Results
from tests.parity.whole_run_data import Batch
from tests.parity.whole_run_model import Model, Score, summary

FIELDS = (
    'run', 'prompt', 'seed', 'client', 'client_name', 'epoch', 'alpha',
    'lambda', 'split', 'rouge_l', 'exact_match', 'loss', 'n', 'examples',
)  # fmt: skip
EXAMPLES = {'local': 'held_out_client', 'global': 'evaluated_clients'}


class Run:
    """One run; `results` computes all of it."""

    def __init__(self, config: config_dict.ConfigDict) -> None:
        self.config, self.model = config, Model(config)
        self.data = self.model.data
        self.rows: list[dict[str, str]] = []
        self.predictions: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.prompts: dict[str, np.ndarray] = {}

    def results(self) -> Results:
        """Both stages, and what they leave."""
        initial = self.initial()
        chosen, rounds = self.train(initial)
        personal = self.personalize(initial, chosen)
        self.keep('initial', initial)
        self.keep('global', chosen)
        clients = self.data.held_out.clients
        for client, prompt in zip(clients, personal, strict=True):
            self.keep(f'client-{client}', prompt)
        return Results(
            rounds, self.rows, self.predictions, self.metrics, self.prompts
        )

    def initial(self) -> torch.Tensor:
        """The prompt before any training."""
        width = self.model.embed.weight.shape[1]
        return torch.tensor(self.data.initial_prompt(width))

    def keep(self, name: str, prompt: torch.Tensor) -> None:
        self.prompts[name] = prompt.numpy().copy()

    # Scores.

    def validate(self, prompt: torch.Tensor, round: int) -> tuple[float, float]:
        """Scores a prompt on the validation clients, each counted once.

        Returns:
          ROUGE-L, and minus the loss, which decides among equals.
        """
        rows = [
            summary([self.model.score(prompt, i) for i in own])
            for own in self.data.validation.local
        ]
        means = {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}
        rouge = np.array([row['rouge_l'] for row in rows])
        variance = ((rouge - rouge.mean()) ** 2).sum() / (len(rows) - 1)
        self.metrics.append(
            {'stage': 'validation', 'round': round}
            | means
            | {
                'rouge_l_se': float(np.sqrt(variance / len(rows))),
                'clients': len(rows),
            }
        )
        return means['rouge_l'], -means['loss']

    def score_clients(
        self,
        name: str,
        epoch: int,
        alpha: float,
        prompts: Sequence[Any],
        shared: bool = False,
        score: Callable[[Any, int], Score] | None = None,
    ) -> None:
        """Local and global scores of the clients' prompts, one for each.

        Where `score` is given they are what it takes.
        """
        score = score or self.model.score
        c, held_out = self.config, self.data.held_out
        labels = {
            'run': f'{c.name}-{c.scale}',
            'prompt': name,
            'seed': c.seed,
            'epoch': epoch,
            'alpha': alpha,
            'lambda': c.personalization.l2,
        }
        scores: dict[tuple[int | None, int], Score] = {}
        splits = collections.defaultdict(list)
        columns: dict[str, list[float]] = collections.defaultdict(list)
        for client, prompt, local in zip(
            held_out.clients, prompts, held_out.local, strict=True
        ):
            owner = None if shared else client
            for split, own in (('local', local), ('global', held_out.common)):
                for i in own:
                    splits[owner, i].append(split)
                    if (owner, i) not in scores:
                        scores[owner, i] = score(prompt, i)
                values = summary([scores[owner, i] for i in own])
                for key, value in values.items():
                    columns[f'{split}_{key}'].append(value)
                row = labels | values
                row |= {'client': client, 'client_name': '', 'split': split}
                row |= {'n': len(own), 'examples': EXAMPLES[split]}
                self.rows.append({key: str(row[key]) for key in FIELDS})
        for (owner, i), result in scores.items():
            x = self.data.instances[i]
            self.predictions.append(
                labels
                | {
                    'client': owner,
                    **(
                        {'splits': splits[owner, i]}
                        if owner is not None
                        else {}
                    ),
                    'task': x.task,
                    'type': x.category,
                    'id': x.id,
                    'input': x.input,
                    'references': x.outputs,
                }
                | dataclasses.asdict(result)
                | ({} if owner is None else {'splits': splits[owner, i]})
            )
        self.metrics.append(
            {'stage': 'score', 'prompt': name, 'epoch': epoch, 'alpha': alpha}
            | {
                key: None if np.isnan(mean := np.mean(column)) else float(mean)
                for key, column in columns.items()
            }
        )

    # Stage 1.

    def train(self, initial: torch.Tensor) -> tuple[torch.Tensor, int]:
        """All rounds; the best prompt by validation, and its rounds."""
        c = self.config
        server = initial.clone()
        optimizer = make_optimizer(c.server, server)
        self.keep('round 0', server)
        if c.validation.every:
            self.validate(server, 0)  # it is never chosen
        best, chosen, rounds = (-1.0, 0.0), server, c.rounds
        for number in range(1, c.rounds + 1):
            self.round(number, server, optimizer)
            self.keep(f'round {number}', server)
            every = c.validation.every
            if every and (number % every == 0 or number == c.rounds):
                score = self.validate(server, number)
                if score > best:
                    best, chosen, rounds = score, server.clone(), number
        return chosen, rounds

    def round(
        self, number: int, server: torch.Tensor, optimizer: torch.optim.Adam
    ) -> None:
        """Moves the server's prompt by one round."""
        c = self.config
        clients, batches = self.data.cohort(number - 1)
        if c.algorithm == 'fedavg':
            parts = [self.local_training(server, own) for own in batches]
        else:  # a gradient on all of the client's examples at once
            whole = [[i for batch in own for i in batch] for own in batches]
            parts = [self.one_gradient(server, batch) for batch in whole]
        counts = [len(self.data.population[k]) for k in clients]
        weights = [n / sum(counts) for n in counts]
        if c.aggregation == 'uniform':
            weights = [1 / len(counts)] * len(counts)
        before = server.clone()
        server.grad = weighted(weights, [part[0] for part in parts])
        optimizer.step()
        update = server - before
        slope = (weighted(weights, [part[1] for part in parts]) * update).sum()
        losses = np.array([part[2] for part in parts])  # [C, S]
        norms = np.array([part[3] for part in parts])
        # f32 each way; data that lie in one place are not sent.
        sent = 0 if c.algorithm == 'centralized' else 4 * server.numel()
        line = {
            'stage': 'train',
            'round': number,
            'clients_dropped': 0,
            'predicted_change': slope.item(),
            'prompt_norm': server.norm().item(),
            'update_norm': update.norm().item(),
            'loss': losses.mean().item(),
            'client_grad_norm': norms.mean().item(),
            'bytes_down': sent * len(clients),
            'bytes_up': sent * len(clients),
            'slowest_share': self.slowest_share(batches),
        }
        if c.algorithm == 'fedavg':
            line['loss_first_step'] = losses[:, 0].mean().item()
            line['loss_last_step'] = losses[:, -1].mean().item()
        self.metrics.append(line | self.work(batches))

    def local_training(self, server: torch.Tensor, batches: Sequence[Batch]):
        """A client of FedAvg, whose Adam is a new one.

        Returns:
          x - y, the gradient at x; the loss and gradient norm of each step.
        """
        prompt = server.clone()
        optimizer = make_optimizer(self.config.client, prompt)
        log = self.local_steps(prompt, optimizer, batches)
        _, first = self.model.gradient(server, batches[0])
        return server - prompt, first, *zip(*log, strict=True)

    def one_gradient(self, server: torch.Tensor, batch: Batch):
        """A client of FedSGD; the same, the gradient in place of x - y."""
        loss, gradient = self.model.gradient(server, batch)
        return gradient, gradient, [loss], [gradient.norm().item()]

    def local_steps(
        self,
        prompt: torch.Tensor,
        optimizer: torch.optim.Adam,
        batches: Sequence[Batch],
        center: torch.Tensor | None = None,
    ) -> list[tuple[float, float]]:
        """Moves a prompt by a step a batch, with l2 toward a center if any.

        Returns:
          The loss and the gradient norm of each step, those of the data.
        """
        log = []
        for batch in batches:
            loss, gradient = self.model.gradient(prompt, batch)
            log.append((loss, gradient.norm().item()))
            if center is not None:  # (l2 / 2) |prompt - center|^2
                l2 = self.config.personalization.l2
                gradient = gradient + l2 * (prompt - center)
            prompt.grad = gradient
            optimizer.step()
        return log

    # Stage 2.

    def personalize(
        self, initial: torch.Tensor, shared: torch.Tensor
    ) -> list[torch.Tensor]:
        """Scores the anchors, trains and scores each client's prompt."""
        c, count = self.config.personalization, len(self.data.held_out.clients)
        anchors = {'bare': None, 'initial': initial, 'global': shared}
        for name, prompt in anchors.items():
            self.score_clients(name, 0, 0.0, [prompt] * count, shared=True)
        self.score_texts()
        prompts = [shared.clone() for _ in range(count)]
        optimizers = [make_optimizer(c, prompt) for prompt in prompts]
        for epoch in range(1, c.epochs + 1):
            self.epoch(epoch, prompts, optimizers, shared)
            if epoch % c.every == 0 or epoch == c.epochs:
                self.score_clients('personalized', epoch, 1.0, prompts)
        for alpha in c.alphas if c.epochs else ():
            mixed = [alpha * own + (1 - alpha) * shared for own in prompts]
            self.score_clients('averaged', c.epochs, alpha, mixed)
        return prompts

    def score_texts(self) -> None:
        """Scores what is copied from the input, and the usual answer."""
        instances, train = self.data.instances, self.data.held_out.train

        def copied(rule: int | None, i: int) -> Score:
            words = instances[i].input.split()
            if rule is None:
                text = instances[i].input
            elif -len(words) <= rule < len(words):
                text = words[rule]
            else:
                text = ''
            return self.model.score_text(text, i)

        rules: list[int | None] = [None]
        for n in range(8):
            rules += [n, -1 - n]
        chosen = []
        for own in train:
            worth = [summary([copied(rule, i) for i in own]) for rule in rules]
            pairs = [(w['rouge_l'], w['exact_match']) for w in worth]
            chosen.append(rules[pairs.index(max(pairs))])
        self.score_clients('copy', 0, 0.0, chosen, score=copied)
        usual = []
        for own in train:
            outputs = [instances[i].outputs[0] for i in own]
            counts = [outputs.count(text) for text in outputs]
            usual.append(outputs[counts.index(max(counts))])
        self.score_clients(
            'majority', 0, 0.0, usual, score=self.model.score_text
        )

    def epoch(self, number: int, prompts, optimizers, shared) -> None:
        """Moves each client's prompt by one pass through its instances."""
        batches, log = self.data.epoch(number - 1), []
        for prompt, optimizer, own in zip(
            prompts, optimizers, batches, strict=True
        ):
            log += self.local_steps(prompt, optimizer, own, shared)
        losses, norms = zip(*log, strict=True)
        line = {
            'stage': 'personalize',
            'epoch': number,
            'loss': float(np.mean(losses)),
            'client_grad_norm': float(np.mean(norms)),
            'clients_dropped': 0,
        }
        self.metrics.append(line | self.work(batches))

    def slowest_share(self, batches: list[list[Batch]]) -> float:
        """The largest part of all tokens of texts that one client reads."""
        tokens = []
        for own in batches:
            read = [self.data.instances[i] for batch in own for i in batch]
            tokens.append(sum(len(x.query) + len(x.target) - 1 for x in read))
        return max(tokens) / sum(tokens)

    def work(self, batches: list[list[Batch]]) -> dict[str, int]:
        """Tokens read, the prompt once a client and step, and operations.

        Two a weight forward and two backward, for each token the layers', for
        each target token the output's. FedSGD's one step counts as several.
        """
        read = [i for own in batches for batch in own for i in batch]
        read = [self.data.instances[i] for i in read]
        tokens = sum(len(x.query) + len(x.target) - 1 for x in read)
        tokens += self.config.prompt.length * sum(map(len, batches))
        targets = sum(len(x.target) for x in read)
        passed = tokens * self.model.layers + targets * self.model.head
        return {'tokens': tokens, 'flops': 4 * passed}


def weighted(weights: list[float], trees: list[torch.Tensor]) -> torch.Tensor:
    """The weighted sum."""
    pairs = zip(weights, trees, strict=True)
    return torch.stack([w * x for w, x in pairs]).sum(dim=0)


def make_optimizer(
    section: config_dict.ConfigDict, prompt: torch.Tensor
) -> torch.optim.Adam:
    """The Adam that a section of the config asks for."""
    name = section.optimizer
    assert name.startswith('adam('), name
    k = {key: float(x) for key, x in re.findall(r'(\w+)=([\w.-]+)', name)}
    return torch.optim.Adam(
        [prompt], section.learning_rate, (k['b1'], k['b2']), k['eps']
    )
