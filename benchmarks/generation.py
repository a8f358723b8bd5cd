"""Greedy texts of a cohort's prompts over shared examples, ten tokens each.

    python -m benchmarks.generation [--clients=4 --examples=16] [--json]
        [--parts=ours,no_prompt_cache,no_buckets,hf]

Every client's prompt answers every example (SmolLM2-135M). `no_prompt_cache`
computes an owner's keys and values again for each query, `no_buckets` pads
all queries to the longest; `hf` is generate() of transformers behind the same
prompts, f32, client after client in batches padded on the left. Tokens are
compared before any time is reported.

Needs `pip install torch peft` for the last one.
"""

import json
import sys
from typing import Any

from absl import flags
import numpy as np

from benchmarks import children, timing

_CLIENTS = flags.DEFINE_integer('clients', 4, 'C.')
_EXAMPLES = flags.DEFINE_integer('examples', 16, 'Shared by all clients.')
_LENGTH = flags.DEFINE_integer('prompt_length', 10, 'P.')
_BATCH = flags.DEFINE_integer('batch', 32, 'Queries at once.')
_NEW = flags.DEFINE_integer('new_tokens', 10, 'Of an output, at most.')
_REPEATS = flags.DEFINE_integer('repeats', 2, 'Timed after the first.')
_PARTS = flags.DEFINE_list(
    'parts', ['ours', 'no_prompt_cache', 'no_buckets', 'hf'], 'Measured.'
)


def main() -> None:
    parts = {
        part: children.run(
            __spec__.name,
            part,
            sys.argv[1:],
            **(children.TORCH if part == 'hf' else {}),
        )
        for part in _PARTS.value
    }
    first, *others = parts
    for other in others:
        if parts[other]['outputs'] != parts[first]['outputs']:
            raise RuntimeError(
                f'{first} and {other} write different tokens: no time is '
                'reported.'
            )
    queries = len(parts[first]['outputs'])
    result: dict[str, Any] = {'queries': queries}
    for name, part in parts.items():
        result[f'{name}_queries_per_s'] = queries / part['median_s']
        result[f'{name}_first_s'] = part['first_s']
        result[f'{name}_peak_memory_gb'] = part['peak_memory_gb']
    print(json.dumps(result) if children.JSON.value else table(result))


def questions():
    """Folder, tokenizer's end ids, prompts [C, P, D], and the examples."""
    from fedprompt_jax.experiment import build
    from fedprompt_jax.models import source

    config = children.make_config()
    folder, data = build.load_data(config, children.cache())
    rng = np.random.default_rng(0)
    chosen = rng.choice(data.population.order, _EXAMPLES.value, replace=False)
    shape = _CLIENTS.value, _LENGTH.value, source.read_config(folder).width
    bank = rng.normal(0, 0.5, shape).astype(np.float32)
    return folder, bank, [np.asarray(data.store.query(int(i))) for i in chosen]


def measure(part: str) -> dict[str, Any]:
    """One form, in this process."""
    used = timing.use_torch() if part == 'hf' else timing.peak_memory
    call = theirs() if part == 'hf' else ours(part)
    outputs: list[list[int]] = []

    def run():
        outputs[:] = call()

    times = timing.measure(run, _REPEATS.value, used)
    return {'outputs': outputs} | times


def ours(part: str):
    """A function that writes all texts, by our Generator."""
    import jax
    import jax.numpy as jnp

    from fedprompt_jax.bank.binding import TunedModel
    from fedprompt_jax.evaluation import causal, generation
    from fedprompt_jax.models import source
    from fedprompt_jax.models.transformer import Transformer
    from fedprompt_jax.peft.prompt import Prompt

    folder, bank, queries = questions()
    lm = source.load(folder, 'float32')
    if part == 'no_buckets':
        longest = generation.padded_length(max(map(len, queries)))
        generation.padded_length = lambda length: longest
    model = TunedModel(Transformer(lm.config), Prompt(_LENGTH.value))

    class Recomputing(generation.Generator):
        """Keys and values of the prompt once a query."""

        def _decoder(self, bank):
            def call(owner, *queries):
                own = jax.tree.map(lambda x: x[owner], bank)
                past = causal.prompt_cache(self.model, self.base, own)
                fixed = self.eos_ids, self.max_new_tokens
                return causal.greedy(
                    self.model, self.base, own, past, *queries, *fixed
                )

            return call

    kind = Recomputing if part == 'no_prompt_cache' else generation.Generator
    generate = kind(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=_NEW.value,
        batch_size=_BATCH.value,
        place_rows=jax.device_put,
    )
    asked = [
        generation.Query(owner, q)
        for owner in range(len(bank))
        for q in queries
    ]
    params = {'prompt': jnp.asarray(bank)}
    return lambda: [o.tolist() for o in generate(params, asked)]


def theirs():
    """A function that writes all texts, by transformers' generate().

    The prompt stands between padding and query, as embeddings: PEFT's own
    generate() leaves out positions, and so computes something else where a
    batch is padded.
    """
    import torch

    from fedprompt_jax.models.tokenizer import Tokenizer
    from tests.parity.theirs import Theirs

    folder, bank, queries = questions()
    ends = Tokenizer.from_folder(folder).eos_ids
    model = Theirs(folder).model
    model.to(torch.get_default_device())
    table_of = model.get_input_embeddings()
    # Longest first, as ours does: rows of a batch are of like lengths.
    order = sorted(range(len(queries)), key=lambda i: -len(queries[i]))

    def batch(prompt, chosen: list[int]) -> list[list[int]]:
        longest = len(prompt) + max(len(queries[i]) for i in chosen)
        rows, masks = [], []
        for i in chosen:
            own = torch.cat([prompt, table_of(torch.tensor(queries[i]))])
            pad = longest - len(own)
            rows.append(torch.cat([torch.zeros(pad, own.shape[1]), own]))
            masks.append(torch.arange(longest) >= pad)
        return model.generate(
            inputs_embeds=torch.stack(rows),
            attention_mask=torch.stack(masks).long(),
            do_sample=False,
            max_new_tokens=_NEW.value,
        ).tolist()

    def write() -> list[list[int]]:
        outputs: list[list[int]] = []
        for prompt in map(torch.tensor, bank):
            own: list[list[int]] = [[]] * len(queries)
            for start in range(0, len(order), _BATCH.value):
                chosen = order[start : start + _BATCH.value]
                for i, row in zip(chosen, batch(prompt, chosen), strict=True):
                    stop = [k for k, t in enumerate(row) if t in ends]
                    own[i] = row[: stop[0]] if stop else row
            outputs += own
        return outputs

    return write


def table(result: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f'{result["queries"]} queries of {_CLIENTS.value} prompts',
        f'{"":16} {"queries/s":>9} {"first call s":>13} {"peak GB":>8}',
    ]
    for name in _PARTS.value:
        lines.append(
            f'{name:16} {result[f"{name}_queries_per_s"]:9.2f} '
            f'{result[f"{name}_first_s"]:13.1f} '
            f'{result[f"{name}_peak_memory_gb"]:8.1f}'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main, measure)
