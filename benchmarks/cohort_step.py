"""One local step of a cohort: packed, vmapped, and HF PEFT in PyTorch.

    python -m benchmarks.cohort_step [--clients=8 --batch=8 --prompt_length=10]
        [--cohorts=3] [--parts=packed,vmap,peft_f32,peft_bf16] [--data=DIR]
        [--json]

One step of each of several cohorts, since how far padding goes depends on the
longest example that was drawn; seconds are their mean, a step's. The same
weights (SmolLM2-135M), examples, prompts and Adam; each form in a process of
its own. PEFT takes one client after the other, its batch padded to its own
longest example (with --peft_clients=N, the first N of a cohort alone).
Losses and gradients are compared before any time is reported. Tokens are those
of the examples, and P of each client's prompt: neither padding nor a prompt's
copies count. A step's useful floating-point operations are
federated/ledger.py's (4 N a token and its targets' logits); their rate over
that of a matrix product is the share of the ceiling. Beside the packed step
stands what `python -m fedprompt_jax.planning` would say of it. The seconds of
compilation are those that JAX reports of the first pass; PyTorch compiles
nothing here.

On an accelerator memory is its own, PEFT uses it too, and the plan is made for
--chip=h100, say. `python -m benchmarks.random_llama` writes a larger --model.

Needs `pip install torch peft` for the last two.
"""

import json
import math
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

from absl import flags
import numpy as np

from benchmarks import children, timing

_CLIENTS = flags.DEFINE_integer('clients', 8, 'C.')
_BATCH = flags.DEFINE_integer('batch', 8, 'B, examples a client.')
_LENGTH = flags.DEFINE_integer('prompt_length', 10, 'P.')
_COHORTS = flags.DEFINE_integer('cohorts', 3, 'One step of each is taken.')
REPEATS = flags.DEFINE_integer('repeats', 1, 'Of all, after the first time.')
_DTYPE = flags.DEFINE_string(
    'dtype', 'float32', 'Of packed, vmap and the matrix product.'
)
_CHIP = flags.DEFINE_string(
    'chip', None, "The accelerator's name for the plan; none is made without."
)
_MAX_TOKENS = flags.DEFINE_integer('max_tokens', 4096, 'Of one call.')
_PEFT_CLIENTS = flags.DEFINE_integer(
    'peft_clients', None, 'Let PEFT take the first ones only; all of them.'
)
_PARTS = flags.DEFINE_list(
    'parts', ['packed', 'vmap', 'peft_f32', 'peft_bf16'], 'What is measured.'
)

RATE = 0.1  # of Adam
# Largest differences of losses and of gradients' norms, relative. In bf16 the
# gradient of an untrained prompt is mostly rounding: it is told, not required.
EXACT, ROUNDED = (1e-4, 1e-3), (5e-2, math.inf)


def main() -> None:
    flags_given = sys.argv[1:]
    before = children.run(__spec__.name, 'gemm', flags_given)
    parts = {
        part: children.run(
            __spec__.name,
            part,
            flags_given,
            **(children.TORCH if part.startswith('peft') else {}),
        )
        for part in _PARTS.value
    }
    after = children.run(__spec__.name, 'gemm', flags_given)
    off = differences(parts)
    result = summarise(parts, max(before['flops'], after['flops'])) | off
    print(json.dumps(result) if children.JSON.value else table(result))


def measure(part: str) -> dict[str, Any]:
    """One form's step, in this process."""
    if part == 'gemm':
        return {'flops': timing.gemm_flops(_DTYPE.value)}
    if part.startswith('peft'):
        return measure_peft('bfloat16' if part == 'peft_bf16' else 'float32')
    return measure_ours(part)


def make_config(simulation: str):
    """The shipped config with a cohort of these sizes."""
    config = children.make_config()
    config.update({'simulation': simulation, 'local_steps': 1})
    config.rounds = 300  # row shapes are those of a long run
    config.model.dtype = _DTYPE.value
    config.data.max_target = 64
    config.clients_per_round, config.batch_size = _CLIENTS.value, _BATCH.value
    config.prompt.length = _LENGTH.value
    config.loss = 'token'  # the mean that PEFT's models take
    config.client.optimizer = 'adam()'
    config.client.learning_rate = RATE
    config.packing.max_tokens = _MAX_TOKENS.value
    return config


def measure_ours(simulation: str) -> dict[str, Any]:
    """By local_train, packing included."""
    import jax

    from fedprompt_jax.bank.owners import replicate
    from fedprompt_jax.data.examples import token_weights
    from fedprompt_jax.experiment import build
    from fedprompt_jax.federated import ledger, optimizers
    from fedprompt_jax.planning import chips

    config = make_config(simulation)
    folder, data = build.load_data(config, children.cache())
    experiment = build.build(config, folder, data)
    drawn = cohorts(experiment)
    tx = optimizers.make(config.client.optimizer, RATE)
    bank = replicate(experiment.params, _CLIENTS.value)
    state = jax.vmap(tx.init)(bank)
    result: dict[str, Any] = {}

    def step():
        result.update(losses=[], grad_norms=[])
        for cohort in drawn:
            local = experiment.simulation.local_train(
                tx, bank, state, cohort.steps
            )
            jax.block_until_ready(local.bank)
            result['losses'].append(local.losses[0].tolist())
            result['grad_norms'].append(local.grad_norms[0].tolist())

    times = timing.measure(step, REPEATS.value)
    steps = [examples for cohort in drawn for examples in cohort.steps]
    work = ledger.compute(experiment.model, steps)
    if simulation == 'packed':
        weights = [token_weights(examples, config.loss) for examples in steps]
        began = time.perf_counter()
        for examples, own in zip(steps, weights, strict=True):
            experiment.simulation.packer.pack(examples, own)
        result['packing_s'] = time.perf_counter() - began
        on_cpu = jax.default_backend() == 'cpu'
        name = _CHIP.value or (chips.CPU if on_cpu else None)
        if name:
            result['planned_s'] = planned(experiment, steps, chips.get(name))
    return result | times | work


def planned(experiment, steps, chip) -> float:
    """Seconds that a plan gives the gradients of these steps."""
    from fedprompt_jax.planning import cost, forecast

    return sum(
        cost.seconds(
            cost.gradient(experiment.lm.config, *shape),
            chip,
            _DTYPE.value,
        )
        for examples in steps
        for shape in forecast.grids(experiment.simulation.packer, examples)
    )


def cohorts(experiment) -> list:
    """The cohorts of the first --cohorts rounds."""
    return [experiment.cohort(n) for n in range(_COHORTS.value)]


def measure_peft(dtype: str) -> dict[str, Any]:
    """By PEFT's prompt tuning and torch's Adam, client after client."""
    import peft
    import torch

    from fedprompt_jax.bank import hf_adapter
    from fedprompt_jax.data.sampling import sample_cohort
    from fedprompt_jax.experiment import build
    from fedprompt_jax.models import source
    from fedprompt_jax.peft.prompt import Prompt
    from tests.parity.theirs import Theirs, mean_loss, weight

    config = make_config('packed')
    folder, data = build.load_data(config, children.cache())
    steps = [
        sample_cohort(
            data.store,
            data.population,
            size=_CLIENTS.value,
            num_steps=1,
            batch_size=_BATCH.value,
            seed=config.seed,
            round=round,
        ).steps[0]
        for round in range(_COHORTS.value)
    ]
    kind, sizes = Prompt(_LENGTH.value), source.read_config(folder)
    prompt = {'prompt': initial_prompt(config, sizes.width)}
    used = timing.use_torch()
    base = Theirs(folder, getattr(torch, dtype)).model
    base.to(torch.get_default_device())
    with tempfile.TemporaryDirectory() as place:
        hf_adapter.save(Path(place), kind, prompt, 'base', sizes)
        model = peft.PeftModel.from_pretrained(base, place).eval()
    parameter, start = weight(model), prompt['prompt']
    parameter.data = parameter.data.float()
    parameter.requires_grad_(True)
    taken = range(_PEFT_CLIENTS.value or _CLIENTS.value)
    batches = [
        [e for e in examples if e.owner == c]
        for examples in steps
        for c in taken
    ]
    result: dict[str, Any] = {'share': share(steps, batches)}

    def step():
        losses, norms = [], []
        for own in batches:
            parameter.data.copy_(torch.tensor(start))
            optimizer = torch.optim.Adam([parameter], lr=RATE)
            optimizer.zero_grad()
            loss = mean_loss(model, own, 'token')
            loss.backward()
            losses.append(loss.item())
            norms.append(parameter.grad.float().norm().item())
            optimizer.step()
        by_cohort = {'losses': losses, 'grad_norms': norms}
        for key, values in by_cohort.items():
            result[key] = np.reshape(values, (len(steps), -1)).tolist()

    return result | timing.measure(step, REPEATS.value, used)


def share(steps, batches) -> float:
    """Of the tokens of all steps, prompts included, that batches have."""

    def tokens(examples) -> int:
        owners = {e.owner for e in examples}
        return sum(e.num_tokens for e in examples) + _LENGTH.value * len(owners)

    return sum(map(tokens, batches)) / sum(map(tokens, steps))


def initial_prompt(config, width: int) -> np.ndarray:
    """The prompt that a run with this config starts from, f32 [P, D]."""
    from fedprompt_jax.data.randomness import generator

    rng = generator(config.seed, 'initial prompt')
    shape = config.prompt.length, width
    return rng.normal(0.0, config.prompt.scale, shape).astype(np.float32)


def differences(parts: dict[str, dict]) -> dict[str, float]:
    """Largest relative differences from the first form, of losses and norms.

    Raises:
      RuntimeError: two forms do not compute the same.
    """
    first, *others = parts
    found = {}
    for other in others:
        rounded = 'bf16' in other or _DTYPE.value != 'float32'
        tolerances = ROUNDED if rounded else EXACT
        for key, most in zip(('losses', 'grad_norms'), tolerances, strict=True):
            a, b = (np.array(parts[part][key]) for part in (first, other))
            a = a[:, : b.shape[1]]
            off = float(np.abs(a - b).max() / np.abs(b).max())
            found[f'{other}_{key}_difference'] = off
            if not off <= most:
                raise RuntimeError(
                    f'{first} and {other} differ in {key} by {off:.1e}, more '
                    f'than {most:.0e}: no time is reported.'
                )
    return found


def summarise(parts: dict[str, dict], gemm: float) -> dict[str, Any]:
    """The keys that comparisons read, and each form's own figures."""
    ours = next(p for p in parts.values() if 'tokens' in p)
    count = _COHORTS.value
    found: dict[str, Any] = {
        'cohorts': count,
        'clients': _CLIENTS.value,
        'batch': _BATCH.value,
        'prompt_length': _LENGTH.value,
        'tokens': ours['tokens'] / count,
        'gemm_gflops': gemm / 1e9,
    }
    for name, part in parts.items():
        whole_s = part['median_s'] / part.get('share', 1.0)
        found[f'{name}_tokens_per_s'] = ours['tokens'] / whole_s
        found[f'{name}_ceiling_share'] = ours['flops'] / whole_s / gemm
        found[f'{name}_step_s'] = part['median_s'] / count
        found[f'{name}_first_s'] = part['first_s']
        found[f'{name}_compile_s'] = part['compile_s']
        found[f'{name}_peak_memory_gb'] = part['peak_memory_gb']
    if 'packed' in parts:
        found['packing_s'] = parts['packed']['packing_s'] / count
        if 'planned_s' in parts['packed']:
            found['planned_s'] = parts['packed']['planned_s'] / count
    return found


def table(result: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        '{cohorts} cohorts of {clients} clients x {batch} examples, '
        '{prompt_length} prompt tokens: {tokens:.0f} tokens '
        'a step; '
        'matrix product {gemm_gflops:.0f} GFLOP/s'.format(**result),
        f'{"":10} {"tokens/s":>9} {"of ceiling":>11} {"first pass s":>13} '
        f'{"compile s":>10} {"peak GB":>8}',
    ]
    for name in _PARTS.value:
        lines.append(
            f'{name:10} {result[f"{name}_tokens_per_s"]:9.0f} '
            f'{result[f"{name}_ceiling_share"]:11.0%} '
            f'{result[f"{name}_first_s"]:13.1f} '
            f'{result[f"{name}_compile_s"]:10.1f} '
            f'{result[f"{name}_peak_memory_gb"]:8.1f}'
        )
    if 'packed_step_s' in result:
        took = result['packed_step_s']
        told = f'packed step: packing {result["packing_s"]:.3f} s; took '
        told += f'{took:.2f} s'
        if 'planned_s' in result:
            off = result['planned_s'] / took - 1
            told += f', planned {result["planned_s"]:.2f} s ({off:+.0%})'
        lines.append(told)
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main, measure)
