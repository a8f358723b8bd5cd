"""What one accelerator does with this package: is it right, how fast is it?

    python -m benchmarks.accelerator --out=DIR [--model=FILE.gguf --data=DIR]
        [--scale=full] [--only=REGEX] [--seconds=200] [--json]

One call, one process, no network. Parts, in this order unless --only chooses:

  parity      logits and gradients: this device in f32, in the f32 that it
              takes by default, and in bf16, against the CPU of this process; by
              each kind of config.model.attention
  round       where the seconds of a round of FedAvg(Adam) go, at the scale
              `sni`; and the operations of one gradient
  cohort      one local step of C clients x 16 examples: packed, by vmap, in
              f32 and bf16, with and without remat, by each kind of attention
  generation  greedy decoding at several batch sizes, and losses of targets
  torch       the step of `cohort` by HF PEFT, client after client

Each part's rows are added to DIR/results.jsonl when it ends. A part that is
there is not measured again, one that failed is; none begins after --seconds.
Seconds are medians of calls that wait for their results, after one that
compiles. MFU is the useful work of federated/ledger.py over the rate that the
vendor gives (planning/chips.py); `planned` is what planning/cost.py expects of
the same grids, and `floor` their operations at the vendor's rate.

What to expect of SmolLM2-135M on an H100 (989 TFLOP/s in bf16, 67 in exact
f32, 3.35 TB/s; an H200 has 4.8 TB/s), from operations and bytes and before any
run. The first cohort of 16 clients x 16 examples of SNI (../shared/sni) has
12,000 tokens in grids of 17,700: 5.4 TFLOP of useful work, 9.4 that are
computed. That of 64 clients has 70,000 tokens in grids of 81,000.

  f32   0.14 s of products at the chip's rate, 0.19 s at three quarters of it,
        0.22 s with what moves bytes: 55,000 tokens/s, an MFU of 36 %. 64
        clients: 0.9 s, 77,000 tokens/s, 51 %.
  bf16  9.5 ms of products; f32 scores (170 MB a layer, ten times written or
        read) move 50 GB, the rest 26 GB, which takes 23 ms: 32 ms, 370,000
        tokens/s, an MFU of 17 %, bound by memory. 64 clients: 160 ms, 430,000
        tokens/s, 20 %.
  remat adds a forward pass: a third of the time again, a third of the memory.
  vmap  pads every example to 320 tokens, 82,000: a quarter of the tokens/s.
  torch 16 x 60 tokens fill little of the card, and each of 30 layers starts
        some 40 kernels forward and 80 backward: 50 ms a client, 15,000
        tokens/s in either type.
  A step of decoding reads 0.27 GB in bf16, 80 us; 30 layers of a dozen kernels
        take 1 to 2 ms: bound by launches, so tokens/s follow the batch size.

SNI's 200 tasks are tokenized first, in about a minute on two cores: --data may
be a folder with some of them. Every shape of a grid is compiled for.
"""

from collections.abc import Callable
import json
import os
from pathlib import Path
import re
import sys
import time
import traceback
from typing import Any, NamedTuple

from absl import flags

from benchmarks import children
from benchmarks.accelerator_generation import generation
from benchmarks.accelerator_parity import parity
from benchmarks.accelerator_round import timeline
from benchmarks.accelerator_session import Scale, Session
from benchmarks.accelerator_step import cohort, torch

_OUT = flags.DEFINE_string('out', None, 'Folder of results.jsonl.')
_SCALE = flags.DEFINE_enum('scale', 'full', ['full', 'tiny'], 'How large.')
_ONLY = flags.DEFINE_string('only', '', 'Parts whose names match this regex.')
_SECONDS = flags.DEFINE_float('seconds', 200, 'No part begins after these.')
flags.DEFINE_alias('source', 'model')

# PyTorch's process needs memory beside this one's.
MEMORY = {'XLA_PYTHON_CLIENT_MEM_FRACTION': '.6'}
FILE = 'results.jsonl'
FULL = Scale(
    batch=16,
    most_tokens=16384,
    parity_rows=4,
    round=(16, 16, 16),
    repeats=5,
    queries=256,
    new_tokens=32,
)
TINY = Scale(
    batch=2,
    most_tokens=512,
    parity_rows=2,
    round=(2, 2, 2),
    repeats=1,
    queries=4,
    new_tokens=3,
)


class Part(NamedTuple):
    """A part: its name in results.jsonl, and what measures it."""

    name: str
    measure: Callable[..., list[dict[str, Any]]]
    args: dict[str, Any]


def main() -> None:
    for name, value in MEMORY.items():
        os.environ.setdefault(name, value)
    tiny = _SCALE.value == 'tiny'
    session = Session(TINY if tiny else FULL)
    began, done = time.perf_counter(), read()
    for part in tiny_parts() if tiny else full_parts():
        if part.name in done or not re.search(_ONLY.value, part.name):
            continue
        if time.perf_counter() - began > _SECONDS.value:
            print(f'{part.name}: no time is left', file=sys.stderr)
            continue
        done[part.name] = run(part, session)
        write(done)
        print(json.dumps(done[part.name]), file=sys.stderr)
    rows = [row | {'part': part} for part, rows in done.items() for row in rows]
    result = {'device': session.device.device_kind, 'rows': rows}
    print(json.dumps(result) if children.JSON.value else table(result))


def full_parts() -> list[Part]:
    """What an accelerator measures, the most telling first."""

    def step(clients: int, dtype: str, **args) -> Part:
        more = (f'{name}={value}' for name, value in args.items())
        return Part(
            ' '.join(['cohort', dtype, str(clients), *more]),
            cohort,
            {'clients': clients, 'dtype': dtype} | args,
        )

    bf16, f32 = 'bfloat16', 'float32'
    # A type's parts stand together: the model is loaded anew for another.
    return [
        *_parity('xla', 'pallas', 'cudnn'),
        step(16, f32),
        _of(timeline, f32),
        _of(timeline, bf16),
        step(16, bf16),
        step(64, bf16),
        *(
            step(64, bf16, attention=kind)
            for kind in ('xla', 'cudnn', 'pallas')
        ),
        step(16, bf16, simulation='vmap'),
        _of(generation, bf16, batches=(16, 128)),
        _of(torch, bf16, clients=4),
        step(4, bf16),
        step(64, bf16, remat=True),
        step(64, bf16, remat_mlp=True),
        step(64, bf16, most_tokens=65536),
        step(64, f32),
        step(4, f32),
        _of(torch, f32, clients=4),
        step(4, f32, simulation='vmap'),
        _of(generation, f32, batches=(128,)),
        step(16, f32, remat=True),
    ]


def tiny_parts() -> list[Part]:
    """One of each kind."""
    return [
        *_parity('xla', 'pallas'),
        _of(timeline, 'float32'),
        _of(cohort, 'float32', clients=2, remat_mlp=True, attention='pallas'),
        _of(cohort, 'bfloat16', clients=2, simulation='vmap'),
        _of(generation, 'float32', batches=(2,)),
        _of(torch, 'float32', clients=2),
    ]


def _of(measure: Callable, dtype: str, **args) -> Part:
    return Part(f'{measure.__name__} {dtype}', measure, {'dtype': dtype} | args)


def _parity(*attentions: str) -> list[Part]:
    return [
        Part(
            f'parity {kind} by {attention}',
            parity,
            {'kind': kind, 'attention': attention},
        )
        for attention in attentions
        for kind in ('prompt', 'prefix')
    ]


def run(part: Part, session: Session) -> list[dict[str, Any]]:
    """The part's rows; one with the error, where it fails."""
    began = time.perf_counter()
    try:
        rows = part.measure(session, **part.args)
    except Exception as error:  # the machine is lent: go on with the next part
        traceback.print_exc()
        rows = [{'what': 'failed', 'error': f'{error!r}'[:500]}]
    took = time.perf_counter() - began
    about = {'device': session.device.device_kind, 'part_s': took}
    return [row | about for row in rows]


def read() -> dict[str, list[dict[str, Any]]]:
    """Rows by part, of parts that were measured before and did not fail."""
    path = Path(_OUT.value or '') / FILE
    if _OUT.value is None or not path.exists():
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text('utf-8').splitlines():
        row = json.loads(line)
        found.setdefault(row.pop('part'), []).append(row)
    return {
        part: rows
        for part, rows in found.items()
        if not any('error' in row for row in rows)
    }


def write(done: dict[str, list[dict[str, Any]]]) -> None:
    """Replaces the file by one that has these rows."""
    if _OUT.value is None:
        return
    folder = Path(_OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({'part': part} | row) + '\n'
        for part, rows in done.items()
        for row in rows
    ]
    part_written = folder / f'{FILE}.new'
    part_written.write_text(''.join(lines), 'utf-8')
    part_written.replace(folder / FILE)


def table(result: dict[str, Any]) -> str:
    """The same for people."""
    columns = {
        'seconds': ('seconds', '9.4f'),
        'tokens_per_s': ('tokens/s', '10.0f'),
        'mfu': ('MFU', '6.1%'),
        'floor_s': ('floor s', '8.4f'),
        'planned_s': ('planned s', '9.4f'),
        'temporary_gb': ('temp. GB', '8.2f'),
        'compile_s': ('compile s', '9.1f'),
    }
    width = max([len(_title(row)) for row in result['rows']], default=0)
    heads = [
        f'{head:>{int(form.split(".")[0])}}' for head, form in columns.values()
    ]
    lines = [result['device'], ' '.join([' ' * width, *heads])]
    for row in result['rows']:
        cells = [
            f'{row[key]:{form}}' if key in row else ' ' * len(head)
            for (key, (_, form)), head in zip(
                columns.items(), heads, strict=True
            )
        ]
        note = row.get('note') or row.get('error') or ''
        lines.append(' '.join([f'{_title(row):{width}}', *cells, note]))
    return '\n'.join(line.rstrip() for line in lines)


def _title(row: dict[str, Any]) -> str:
    return f'{row["part"]}: {row["what"]}'


if __name__ == '__main__':
    children.start(main)
