"""A soft prompt: P trained rows before the embeddings of the input.

Lester et al. (2021); Profit's only kind (arXiv 2310.04627, appendix A).
"""

import jax
import jax.numpy as jnp

Params = dict[str, jax.Array]  # {'prompt': [P, D]}


def fill_slots(bank: Params, x: jax.Array, owner, slot) -> jax.Array:
    """Input embeddings with each prompt slot holding its owner's row.

    Args:
      bank: {'prompt': [C, P, D]}.
      x: [R, L, D] embeddings of the tokens.
      owner: int [R, L] index into the bank.
      slot: int [R, L] 0 ... P-1 on prompt slots, negative elsewhere.
    """
    prompt = bank['prompt']
    if not prompt.shape[1]:
        return x
    # Negative indices would wrap around; the mask discards what they read.
    rows = prompt[jnp.maximum(owner, 0), jnp.maximum(slot, 0)]
    return jnp.where((slot >= 0)[..., None], rows.astype(x.dtype), x)


def prepend(params: Params, x: jax.Array) -> jax.Array:
    """[B, P + L, D]: one owner's prompt before each of its examples."""
    prompt = params['prompt'].astype(x.dtype)
    prompt = jnp.broadcast_to(prompt, (len(x), *prompt.shape))
    return jnp.concatenate([prompt, x], axis=1)
