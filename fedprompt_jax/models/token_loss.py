"""Cross-entropy of target tokens, with logits computed only at targets."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

# Targets whose logits exist at once: 4096 x 49,152 in f32 is 0.8 GB.
CHUNK = 4096


def token_losses(
    logits_of: Callable[[jax.Array], jax.Array], hidden: jax.Array, label
) -> jax.Array:
    """-log p(label) f32 [R, K] from hidden states [R, K, D].

    Args:
      logits_of: logits f32 [..., V] of hidden states [..., D].
      hidden: [R, K, D] final hidden states that predict the targets.
      label: int [R, K] the target tokens.
    """
    rows, targets = label.shape

    def losses(hidden_and_label):
        hidden, label = hidden_and_label
        logits = logits_of(hidden)
        chosen = jnp.take_along_axis(logits, label[..., None], axis=-1)
        return jax.nn.logsumexp(logits, axis=-1) - chosen[..., 0]

    columns = max(1, CHUNK // rows)
    if targets <= columns:
        return losses((hidden, label))
    # Chunks of columns, so that rows stay where the mesh put them.
    pad = -targets % columns
    hidden = jnp.pad(hidden, ((0, 0), (0, pad), (0, 0)))
    label = jnp.pad(label, ((0, 0), (0, pad)))
    chunks = (targets + pad) // columns
    hidden = hidden.reshape(rows, chunks, columns, -1).swapaxes(0, 1)
    label = label.reshape(rows, chunks, columns).swapaxes(0, 1)
    out = jax.lax.map(jax.checkpoint(losses), (hidden, label))
    return out.swapaxes(0, 1).reshape(rows, -1)[:, :targets]
