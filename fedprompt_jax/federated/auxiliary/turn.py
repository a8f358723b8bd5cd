"""What a client of FedSP does in a round: the halves of its turn.

Its auxiliary model is aligned with the prompt that it got, which stays; then
the prompt is trained in front of the model, which stays. Both optimizers, and
the model, are the client's from round to round.
"""

from collections.abc import Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.bank.owners import num_owners
from fedprompt_jax.data.examples import Example
from fedprompt_jax.federated import optimizers
from fedprompt_jax.federated.algorithm import Excerpt, Simulation, Steps
from fedprompt_jax.federated.client import LocalResult, present_owners
from fedprompt_jax.federated.schedules import ByRound

ALTERNATE, JOINT, PROMPT = 'alternate', 'joint', 'prompt'
ORDERS = (ALTERNATE, JOINT, PROMPT)
_OPTIMIZERS = ('align', 'prompt')  # keys of rows
MLP = 'mlp'  # the part of a prefix that clients may not train


class Worked(NamedTuple):
    """Clients after their turn.

    Attributes:
      rows: what they keep, leaves [C, ...].
      prompt: how their prompts were trained; `bank` holds them.
      aligned: how their models were; None where they were not, or where the
        same steps trained both.
      cost: tokens and FLOPs of all halves; see ledger.compute.
    """

    rows: Any
    prompt: LocalResult
    aligned: LocalResult | None
    cost: dict[str, int]


class Turns(NamedTuple):
    """The halves of a client's turn, with their optimizers.

    Rows, what clients keep, have 'model' (an auxiliary model) where the turn
    trains it and, if optimizers are kept, 'align' (that of the half that trains
    the model) and 'prompt' (that of the half that trains the prompt).

    Attributes:
      order: 'alternate': first the model, then the prompt; 'joint': both in one
        half; 'prompt': the prompt alone.
      prompt_tx: optimizer of the prompt.
      align_tx: of {'model': ..., 'prompt': ...}; see align_optimizer.
      prompt_rate: round, from 0 and with its fraction -> learning rate.
      model_rate: likewise.
      keeps_optimizers: whether they go on where they ended in the last round.
      simulation: trains prompts in front of the full model.
      excerpt: the auxiliary model; None where clients have the full one.
    """

    order: str
    prompt_tx: optax.GradientTransformation
    align_tx: optax.GradientTransformation
    prompt_rate: ByRound
    model_rate: ByRound
    keeps_optimizers: bool
    simulation: Simulation
    excerpt: Excerpt | None

    @property
    def trains_model(self) -> bool:
        """Whether each client has a model of its own."""
        return self.order != PROMPT

    @property
    def keeps_something(self) -> bool:
        """Whether a client's turn depends on its earlier ones."""
        return self.keeps_optimizers or self.excerpt is not None

    def first(self, model: Any, prompt: Any) -> dict[str, Any]:
        """What a client keeps before its first round, leaves [...].

        Args:
          model: the auxiliary model that the server sends once.
          prompt: of these shapes.
        """
        kept = {'model': model} if self.trains_model else {}
        if self.keeps_optimizers:
            kept |= self._fresh(model, prompt)
        # Else nothing would say that the client has the server's model.
        return kept or {'has_model': jnp.ones(())}

    def work(
        self, model: Any, rows: Any, prompts: Any, steps: Steps, round: int
    ) -> Worked:
        """Clients after their turn.

        Args:
          model: the server's auxiliary model, or None.
          rows: what they keep, leaves [C, ...]; of one client where it trains
            its model; None where they keep nothing.
          prompts: which they begin with, leaves [C, ...].
          steps: of these clients.
          round: from 0.
        """
        rows = dict(rows or {})
        if not self.keeps_optimizers:
            rows |= jax.vmap(self._fresh)(rows.get('model'), prompts)
        cost: dict[str, int] = {}
        aligned = None
        if self.trains_model:
            rows, aligned, cost = self._align(rows, prompts, steps, round)
            model = jax.tree.map(lambda x: x[0], rows['model'])
        if self.order == JOINT:
            assert aligned is not None
            prompt, aligned = aligned, None
        else:
            rows, prompt, more = self._prompt(
                model, rows, prompts, steps, round
            )
            cost = {k: cost.get(k, 0) + n for k, n in more.items()}
        if not self.keeps_optimizers:
            rows = {k: v for k, v in rows.items() if k not in _OPTIMIZERS}
        return Worked(rows, prompt, aligned, cost)

    def _fresh(self, model: Any, prompt: Any) -> dict[str, Any]:
        """States of both optimizers before any step."""
        fresh = {}
        if self.trains_model:
            both = {'model': model, 'prompt': prompt}
            fresh['align'] = self.align_tx.init(both)
        if self.order != JOINT:
            fresh['prompt'] = self.prompt_tx.init(prompt)
        return fresh

    def _align(self, rows, prompts, steps, round):
        """The half that trains the model, and the prompt if that is joint."""
        assert self.excerpt is not None
        which = 'both' if self.order == JOINT else 'model'
        simulation = self.excerpt.models[which]
        local = train(
            simulation,
            self.align_tx,
            {'model': rows['model'], 'prompt': prompts},
            rows['align'],
            steps,
            round,
            self.model_rate,
        )
        rows = rows | {'model': local.bank['model'], 'align': local.opt_state}
        # Nothing of the model's size stays behind.
        of_prompt = local._replace(
            bank=local.bank['prompt'],
            opt_state=None,
            first_grads=local.first_grads['prompt'],
        )
        return rows, of_prompt, simulation.compute(steps)

    def _prompt(self, model, rows, prompts, steps, round):
        """The half that trains the prompt in front of a model that stays."""
        simulation = self.simulation
        if self.excerpt is not None:
            base = self.excerpt.as_base(model)
            simulation = self.excerpt.prompts.with_base(base)
        local = train(
            simulation,
            self.prompt_tx,
            prompts,
            rows['prompt'],
            steps,
            round,
            self.prompt_rate,
        )
        rows = rows | {'prompt': local.opt_state}
        local = local._replace(opt_state=None)
        return rows, local, simulation.compute(steps)


@functools.cache
def align_optimizer(
    order: str,
    model_tx: optax.GradientTransformation,
    prompt_tx: optax.GradientTransformation,
    share: float,
) -> optax.GradientTransformation:
    """The optimizer of {'model': ..., 'prompt': ...} in the aligning half.

    Args:
      order: of ORDERS; but for 'joint' the prompt stays.
      model_tx: optimizer of the model, whose learning rate is set.
      prompt_tx: of the prompt, at the model's learning rate.
      share: the prompt's learning rate, in that of the model.
    """
    of_prompt = optax.set_to_zero()
    if order == JOINT:
        of_prompt = optax.chain(prompt_tx, optax.scale(share))
    return optax.partition(
        {'model': model_tx, 'prompt': of_prompt},
        {'model': 'model', 'prompt': 'prompt'},
    )


def train(
    simulation: Simulation,
    tx: optax.GradientTransformation,
    bank: Any,
    opt_state: Any,
    steps: Sequence[Sequence[Example]],
    round: int,
    rate: ByRound,
) -> LocalResult:
    """local_train, an owner's learning rate that of each of its steps.

    Args:
      simulation: computes the owners.
      tx: optimizer, whose learning rate is state.
      bank: where each owner starts, leaves [C, ...].
      opt_state: leaves [C, ...].
      steps: the round's.
      round: from 0.
      rate: round, from 0 and with its fraction -> learning rate.
    """
    losses, norms, first = [], [], None
    owners = num_owners(bank)
    present = np.array([present_owners(step, owners) for step in steps])
    # [S, C]: the steps that an owner has had, and how many it has in all.
    had, in_all = present.cumsum(axis=0) - present, present.sum(axis=0)
    for number, step in enumerate(steps):
        share = had[number] / np.maximum(1, in_all)
        now = [
            rate(round + float(f), 1 / max(1, int(n)))
            for f, n in zip(share, in_all, strict=True)
        ]
        settings = {optimizers.RATE: jnp.asarray(now, jnp.float32)}
        opt_state = optimizers.with_settings(opt_state, settings)
        local = simulation.local_train(tx, bank, opt_state, [step])
        bank, opt_state = local.bank, local.opt_state
        losses.append(local.losses)
        norms.append(local.grad_norms)
        first = local.first_grads if first is None else first
    return LocalResult(
        bank,
        opt_state,
        jnp.concatenate(losses),
        jnp.concatenate(norms),
        first,
    )


@functools.cache
def without_mlp(
    tx: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """The optimizer of a prefix whose MLP stays as it is."""
    return optax.partition(
        {'train': tx, 'keep': optax.set_to_zero()},
        lambda params: {k: 'keep' if k == MLP else 'train' for k in params},
    )


def batches_of(steps: Steps, owner: int) -> list[list[Example]]:
    """The steps in which an owner has a batch, as those of owner 0."""
    mine = [
        [e._replace(owner=0) for e in step if e.owner == owner]
        for step in steps
    ]
    return [batch for batch in mine if batch]


def joined(results: Sequence[LocalResult]) -> LocalResult:
    """The results of single clients as that of a cohort.

    A client with fewer steps than others has NaN in those that it lacks.
    """
    most = max(len(r.losses) for r in results)

    def columns(parts: list[jax.Array]) -> jax.Array:
        room = [((0, most - len(p)), (0, 0)) for p in parts]
        padded = [
            jnp.pad(p, r, constant_values=jnp.nan)
            for p, r in zip(parts, room, strict=True)
        ]
        return jnp.concatenate(padded, axis=1)

    def bank(trees: list[Any]) -> Any:
        return jax.tree.map(lambda *x: jnp.concatenate(x), *trees)

    return LocalResult(
        bank([r.bank for r in results]),
        None,
        columns([r.losses for r in results]),
        columns([r.grad_norms for r in results]),
        bank([r.first_grads for r in results]),
    )
