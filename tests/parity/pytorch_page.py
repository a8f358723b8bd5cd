"""The functions that docs/pytorch.md gives for generation without PEFT.

They return arguments of the bare model: of generate(), and of a call.
"""

from pathlib import Path
import re
from typing import Any

import numpy as np
import torch

from tests.parity.theirs import GREEDY, new_tokens, pad

PAGE = Path(__file__).parents[2] / 'docs' / 'pytorch.md'


def functions() -> dict[str, Any]:
    """`with_prompt` and `with_prefix`, out of the page's Python code.

    Raises:
      ValueError: the page no longer defines one of them.
    """
    text = PAGE.read_text('utf-8')
    blocks = re.findall(r'^```python\n(.*?)^```', text, re.M | re.S)
    names: dict[str, Any] = {}
    exec('\n'.join(b for b in blocks if 'def with_' in b), names)
    if lost := {'with_prompt', 'with_prefix'} - names.keys():
        raise ValueError(f'{PAGE} has no Python code of {sorted(lost)}.')
    return names


def generate(
    kind: str, model: Any, folder: Path, query: np.ndarray
) -> np.ndarray:
    """Greedy tokens after a query, without the end token.

    Args:
      kind: 'prompt' or 'prefix'.
      model: of transformers, bare.
      folder: the adapter's, as a run leaves it.
      query: int [n].
    """
    inputs = functions()[f'with_{kind}'](model, folder, pad([query], 0))
    out = model.generate(**inputs, **GREEDY)[0]
    # Rows given as embeddings are not repeated in what comes out.
    given = inputs['input_ids'].shape[1] if 'input_ids' in inputs else 0
    return new_tokens(model, out, given)


def logits(model: Any, folder: Path, query: np.ndarray) -> np.ndarray:
    """[n, V] at the tokens of a query behind a prompt."""
    inputs = functions()['with_prompt'](model, folder, pad([query], 0))
    with torch.no_grad():
        return model(**inputs).logits[0, -len(query) :].numpy()
