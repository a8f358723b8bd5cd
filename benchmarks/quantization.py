"""What rounding the frozen model costs, and what it saves.

    python -m benchmarks.quantization [--clients=16 --examples=8]
        [--prompt=DIR] [--json]
        [--forms=float32,bfloat16,int8-float32,int8-bfloat16]

The model in f32 and in bf16, and with its layers' kernels in int8 between
activations of either type, on the same held-out examples of test clients.
Logits at the targets against those of the first form: root mean square of the
error over the logits' standard deviation, divergence, and how often the
likeliest token is the same. Loss and ROUGE-L (greedy, ten tokens) with the 95 %
bootstrap interval, over examples, of their differences. Bytes of the base, and
seconds to score.
"""

import json
import time
from typing import Any

from absl import flags
import numpy as np

from benchmarks import children

_CLIENTS = flags.DEFINE_integer('clients', 16, 'Test clients.')
_EXAMPLES = flags.DEFINE_integer('examples', 8, 'Of each client.')
_PROMPT = flags.DEFINE_string(
    'prompt', None, 'Adapter folder of a run, as prompts/global; else none.'
)
_FORMS = flags.DEFINE_list(
    'forms',
    ['float32', 'bfloat16', 'int8-float32', 'int8-bfloat16'],
    'Compared with the first.',
)


def main() -> None:
    forms = {form: measure(form) for form in _FORMS.value}
    first = forms[_FORMS.value[0]]
    result = {name: compared(form, first) for name, form in forms.items()}
    print(json.dumps(result) if children.JSON.value else table(result))


def measure(form: str) -> dict[str, Any]:
    """Logits, losses and ROUGE-L of every example, bytes and seconds."""
    import jax

    from fedprompt_jax.evaluation.scoring import Request
    from fedprompt_jax.experiment import build

    config = children.make_config()
    *quantization, config.model.dtype = form.split('-')
    config.model.quantization = ''.join(quantization)
    config.personalization.clients = _CLIENTS.value
    config.personalization.eval_examples = _EXAMPLES.value
    folder, data = build.load_data(config, children.cache())
    experiment = build.build(config, folder, data)
    chosen = np.concatenate(data.held_out.local)
    evaluator, bank = experiment.evaluator.bare()
    if _PROMPT.value:
        evaluator, bank = experiment.evaluator, prompt(experiment)
    requests = [Request(0, int(i)) for i in chosen]
    evaluator.score(bank, requests)  # compiles
    began = time.perf_counter()
    scores = evaluator.score(bank, requests)
    seconds = time.perf_counter() - began
    return {
        'logits': logits(evaluator, bank, chosen),
        'loss': scores.loss,
        'rouge_l': 100 * scores.rouge_l,
        'base_bytes': sum(
            x.nbytes for x in jax.tree.leaves(experiment.lm.base)
        ),
        'seconds': seconds,
    }


def prompt(experiment):
    """A bank of the adapter that --prompt names."""
    from pathlib import Path

    import jax

    from fedprompt_jax.bank import hf_adapter

    params = hf_adapter.load(Path(_PROMPT.value), experiment.model.kind)
    return jax.tree.map(lambda x: x[None], params)


def logits(evaluator, bank, chosen) -> list[np.ndarray]:
    """Of each packed grid, f32 [T, V] at its targets."""
    import jax

    from fedprompt_jax.bank.reading import target_states

    generator = evaluator.generator

    @jax.jit
    def apply(base, grid):
        bound = generator.model.bind(base, bank)
        return bound.logits(target_states(bound, grid))

    examples = [evaluator.store.example(0, int(i)) for i in chosen]
    return [
        np.asarray(apply(generator.base, grid))[grid.target_number >= 0]
        for grid in evaluator.packer.pack(examples, [1.0] * len(examples))
    ]


def compared(form: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """A form's figures, and their differences to the first one's."""
    pairs = list(zip(form['logits'], first['logits'], strict=True))
    off = np.concatenate([a - b for a, b in pairs])
    true = np.concatenate(first['logits'])
    same = np.concatenate([a.argmax(-1) == b.argmax(-1) for a, b in pairs])
    return {
        'logits_error': float(np.sqrt(np.mean(off**2)) / true.std(-1).mean()),
        'logits_largest_error': float(np.abs(off).max()),
        'divergence_nats': float(
            np.concatenate([divergence(b, a) for a, b in pairs]).mean()
        ),
        'same_token': float(same.mean()),
        'target_tokens': len(true),
        **{
            name: value
            for key in ('loss', 'rouge_l')
            for name, value in difference(form[key], first[key], key).items()
        },
        'base_mb': form['base_bytes'] / 1e6,
        'seconds': form['seconds'],
    }


def divergence(true: np.ndarray, other: np.ndarray) -> np.ndarray:
    """KL(true || other) of logits [T, V], nats [T]."""
    from scipy.special import log_softmax

    true, other = log_softmax(true, -1), log_softmax(other, -1)
    return (np.exp(true) * (true - other)).sum(-1)


def difference(values, first, key: str) -> dict[str, float]:
    """Mean, and the interval of the mean difference to the first form."""
    from scipy import stats

    gains = values - first
    low = high = 0.0
    if gains.any():
        low, high = stats.bootstrap(
            (gains,),
            np.mean,
            method='percentile',
            rng=np.random.default_rng(0),
        ).confidence_interval
    return {
        key: float(values.mean()),
        f'{key}_difference': float(gains.mean()),
        f'{key}_low': float(low),
        f'{key}_high': float(high),
    }


def table(result: dict[str, Any]) -> str:
    """The same for people."""
    head = (
        f'{"":14} {"MB":>5} {"score s":>8} {"logits off":>10} {"KL":>8} '
        f'{"same":>6}  {"loss (difference)":28} {"ROUGE-L (difference)":28}'
    )
    lines = [head]
    for name, r in result.items():
        spans = (
            f'{r[k]:6.2f} ({r[f"{k}_difference"]:+.2f} '
            f'[{r[f"{k}_low"]:+.2f}, {r[f"{k}_high"]:+.2f}])'
            for k in ('loss', 'rouge_l')
        )
        lines.append(
            f'{name:14} {r["base_mb"]:5.0f} {r["seconds"]:8.1f} '
            f'{r["logits_error"]:10.2%} {r["divergence_nats"]:8.5f} '
            f'{r["same_token"]:6.1%}  ' + ' '.join(f'{s:28}' for s in spans)
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main)
