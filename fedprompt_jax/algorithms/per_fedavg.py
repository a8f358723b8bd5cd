"""Per-FedAvg (2002.07948): the prompt from which one step helps the most.

The objective is the mean of f_i(w - a grad f_i(w)). A local step takes a batch
for the inner step, of rate a, and one for the gradient after it; variant 'hf'
adds the second-order term by a finite difference on a third, 'fo' leaves it
out. So `config.local_steps` counts batches, two or three a step.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ml_collections import config_dict
import numpy as np
import optax

from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.bank.owners import num_owners
from fedprompt_jax.federated.algorithm import Algorithm, Setup, Simulation
from fedprompt_jax.federated.client import LocalResult, present_owners, train
from fedprompt_jax.rules import number, one_of

BATCHES = {'fo': 2, 'hf': 3}  # of one local step
_RATE = number(0, above=True)
KEYS = {'inner_learning_rate': _RATE, 'delta': _RATE}
KEYS['variant'] = one_of(*BATCHES)


class Meta(NamedTuple):
    """A simulation whose local steps follow the gradient of the objective."""

    inner: Simulation
    section: config_dict.ConfigDict

    def local_train(self, tx, bank, opt_state, steps) -> LocalResult:
        """See Simulation.local_train; `steps` are BATCHES a local step."""
        size, owners = BATCHES[self.section.variant], num_owners(bank)
        groups = [steps[i : i + size] for i in range(0, len(steps), size)]

        def present(batches):
            return np.all([present_owners(b, owners) for b in batches], axis=0)

        local = train(tx, bank, opt_state, groups, self._gradients, present)
        return local.checked(bank, steps)

    def compute(self, steps) -> dict[str, Any]:
        """See Simulation.compute; a third batch is read at two prompts."""
        again = steps[2::3] if self.section.variant == 'hf' else []
        return self.inner.compute([*steps, *again])

    def _gradients(self, bank, batches):
        """Losses after the inner step f32 [C], and the objective's gradient."""
        rate, delta = self.section.inner_learning_rate, self.section.delta
        _, first = self.inner.gradients(bank, batches[0])
        inner = optax.tree.add_scale(bank, -rate, first)
        loss, grads = self.inner.gradients(inner, batches[1])
        if self.section.variant == 'fo':
            return loss, grads
        # The Hessian at w times the gradient after the inner step.
        ends = (optax.tree.add_scale(bank, d, grads) for d in (delta, -delta))
        ahead, behind = (self.inner.gradients(x, batches[2])[1] for x in ends)
        curved = optax.tree.sub(ahead, behind)
        return loss, optax.tree.add_scale(grads, -rate / (2 * delta), curved)


def make(setup: Setup) -> Algorithm:
    """FedAvg of clients that follow the objective's gradient."""
    section = setup.config.per_fedavg
    meta: Any = Meta(setup.simulation, section)
    average = fedavg.make(setup._replace(simulation=meta))
    return average._replace(passes=1 if section.variant == 'fo' else 4 / 3)


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """A round has whole local steps."""
    c, size = config, BATCHES[config.per_fedavg.variant]
    if c.local_epochs or c.local_steps % size:
        yield (
            f'config.local_steps={c.local_steps} must be a multiple of {size}, '
            'the batches of one local step, and config.local_epochs=0.'
        )
