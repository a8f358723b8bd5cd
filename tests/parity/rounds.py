"""FedAvg by hand in PyTorch, against algorithms.fedavg."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
import torch

from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import optimizers
from tests import plain
from tests.parity import table
from tests.parity.cases import random_examples
from tests.parity.subjects import Subject
from tests.parity.theirs import Theirs, mean_loss, weight

ADAM = 'adam(b1=0.99, b2=0.999, eps=1e-8)'
CLIENT_RATE, SERVER_RATE = 0.1, 0.3
LOSS = 'sequence'
TOLERANCE = 1e-4


def compare(subject: Subject) -> Iterator[table.Row]:
    """How far two rounds move the server's prompt, and where they go."""
    if subject.name != 'tiny_untied':  # the algorithm is the same for all
        return
    start = subject.case.bank[0]
    cohorts = [make_cohort(seed) for seed in range(2)]
    for aggregation in ('uniform', 'examples'):
        expected = their_rounds(subject.theirs, start, cohorts, aggregation)
        for simulation in ('packed', 'vmap'):
            got = our_rounds(subject, start, cohorts, aggregation, simulation)
            yield table.relative(
                'FedAvg',
                f'{subject.name}: 2 rounds, {aggregation}, {simulation}',
                got - start,
                expected - start,
                TOLERANCE,
            )


def make_cohort(seed: int) -> Cohort:
    """Two clients, two steps, two examples a client a step."""
    sizes = [(0, 5, 3), (0, 8, 1), (1, 3, 4), (1, 6, 2)]
    steps = [random_examples(sizes, 10 * seed + step) for step in range(2)]
    return Cohort(np.arange(2), np.array([30, 10]), steps)


def our_rounds(
    subject: Subject,
    start: np.ndarray,
    cohorts: list[Cohort],
    aggregation: str,
    simulation: str,
) -> np.ndarray:
    """The server's prompt [P, D] after a round a cohort."""
    examples = [e for step in cohorts[0].steps for e in step]
    ours = subject.ours.using(simulation)
    algorithm = fedavg.make(
        plain.setup(
            ours.simulate(start[None], examples, LOSS),
            optimizers.make(ADAM, CLIENT_RATE),
            optimizers.make(ADAM, SERVER_RATE),
            aggregation,
            {'prompt': jnp.asarray(start)},
        )
    )
    state = algorithm.init()
    for cohort in cohorts:
        state, _, _ = algorithm.round(state, None, cohort)
    return np.asarray(state.params['prompt'])


def their_rounds(
    theirs: Theirs, start: np.ndarray, cohorts: list[Cohort], aggregation: str
) -> np.ndarray:
    """The same with PEFT models and torch.optim.Adam."""
    server = torch.nn.Parameter(torch.tensor(start))
    server_adam = make_adam(server, SERVER_RATE)
    for cohort in cohorts:
        counts = torch.tensor(cohort.num_examples, dtype=torch.float32)
        shares = counts / counts.sum()
        if aggregation == 'uniform':
            shares = torch.full_like(counts, 1 / len(counts))
        server.grad = torch.zeros_like(server)
        for client, share in enumerate(shares):
            end = train_client(theirs, server, cohort, client)
            server.grad += share * (server.detach() - end)
        server_adam.step()
    return server.detach().numpy()


def train_client(
    theirs: Theirs, server: torch.Tensor, cohort: Cohort, client: int
) -> torch.Tensor:
    """A client's prompt after its local steps, with an Adam of its own."""
    model = theirs.adapter(server.detach().numpy().copy())
    adam = make_adam(weight(model), CLIENT_RATE)
    for step in cohort.steps:
        adam.zero_grad()
        own = [e for e in step if e.owner == client]
        mean_loss(model, own, LOSS).backward()
        adam.step()
    return weight(model).detach()


def make_adam(parameter: torch.nn.Parameter, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam([parameter], rate, betas=(0.99, 0.999), eps=1e-8)
