"""A warning for the user when a prompt does not move the loss."""

import math

ROUNDS = 3  # the first rounds, which are examined
LEAST = 1e-4  # relative change of the loss in a round that counts as one


def prompt_moves(metrics: list[dict]) -> str | None:
    """A warning if no update of the first rounds mattered, else None.

    The change is the first-order one, <gradient, update>: it is free of the
    noise of sampling other clients in each round.

    Args:
      metrics: lines of metrics.jsonl, null as NaN.
    """
    rounds = [m for m in metrics if m['stage'] == 'train'][:ROUNDS]
    needed = ('predicted_change', 'loss', 'prompt_norm', 'update_norm')
    numbers = [m.get(key, math.nan) for m in rounds for key in needed]
    if not all(map(math.isfinite, numbers)):
        return None  # a non-finite round, or an algorithm without them
    if any(
        abs(m['predicted_change']) >= LEAST * abs(m['loss']) for m in rounds
    ):
        return None
    biggest = max(abs(m['predicted_change']) for m in rounds)
    norms = rounds[-1]
    return (
        f'The prompt does not move the loss: the updates of the first {ROUNDS} '
        f'rounds change a loss of {norms["loss"]:.4g} by {biggest:.2g} at '
        f'most (|P| {norms["prompt_norm"]:.3g}, |update| '
        f'{norms["update_norm"]:.3g}). Raise config.server.learning_rate '
        'or config.client.learning_rate, or start from a smaller '
        'config.prompt.scale.'
    )
