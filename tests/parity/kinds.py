"""Prefixes, LoRA and IA3: adapters that go to PEFT and come from it."""

from collections.abc import Iterator
from pathlib import Path
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import peft
import torch

from fedprompt_jax.bank import hf_adapter, modules
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import Kind, ModelInfo, Start
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.models import families
from fedprompt_jax.models.sizes import param_shapes
from fedprompt_jax.peft.ia3 import IA3
from fedprompt_jax.peft.lora import LoRA
from fedprompt_jax.peft.prefix import Prefix
from tests.parity import pytorch_page, table
from tests.parity.cases import MAX_NEW_TOKENS
from tests.parity.subjects import Subject
from tests.parity.theirs import TASKS, generate, mean_loss, to_torch

TOLERANCE = 1e-4
LENGTH, RANK, ALPHA = 4, 3, 6


def make_kinds(subject: Subject) -> dict[str, Kind]:
    """The kinds that PEFT has too, for a model."""
    lm = subject.ours.lm
    names = families.names(lm.hf_config)
    base = ModelInfo(lm.config, names, param_shapes(lm.config))
    c = lm.config
    targets = modules.find(base, 'attention/(query|value|qkv)|mlp/down', '')
    keys = modules.find(base, 'attention/(key|value|qkv)', '')
    down = modules.find(base, 'mlp/down', '')
    conv1d = modules.is_conv1d(base, down[0])
    kinds = {
        'lora': LoRA(targets, RANK, ALPHA, conv1d),
        'ia3': IA3(keys, down, conv1d),
    }
    if c.encoder is None:  # PEFT gives an encoder's layers no prefix
        kinds['prefix'] = Prefix(
            (LENGTH,) * c.num_layers, c.num_kv_heads, c.head_dim, scale=0.5
        )
    return kinds


def compare(subject: Subject) -> Iterator[table.Row]:
    """Loss and greedy texts by an adapter, ours in PEFT and PEFT's here."""
    rng = np.random.default_rng(0)
    for name, kind in make_kinds(subject).items():
        table_of = subject.ours.lm.base['embed']['embedding']
        params = jax.tree.map(
            lambda x: x + rng.normal(0, 0.1, x.shape).astype(np.float32),
            kind.init(Start(rng, table_of, lambda text: [5])),
        )
        with tempfile.TemporaryDirectory() as folder:
            sizes = subject.ours.lm.config
            hf_adapter.save(Path(folder), kind, params, 'base', sizes)
            theirs = peft.PeftModel.from_pretrained(
                subject.theirs.model, folder
            ).eval()
            yield from compare_one(
                subject, kind, params, theirs, name, Path(folder)
            )
            restore(theirs)
        yield from compare_saved_by_peft(subject, kind, name)
    if subject.ours.lm.config.encoder is not None:
        yield compare_hooked_prefix(subject, rng)


def compare_hooked_prefix(subject: Subject, rng) -> table.Row:
    """A prefix of an encoder: PyTorch's keys and values are overwritten.

    Padding tokens stand where the prefix does, and a hook puts the prefix in
    place of the keys and values that each layer computes of them.
    """
    c = subject.ours.lm.config
    kind = Prefix(
        (LENGTH,) * c.encoder.num_layers,
        c.num_kv_heads,
        c.head_dim,
        scale=0.5,
        stack=('encoder', 'layers'),
    )
    params = kind.init(_start(subject)._replace(rng=rng))
    examples = [e._replace(owner=0) for e in subject.case.examples]
    model, handles = subject.theirs.model, []
    for layer, block in enumerate(model.encoder.block):
        rows = np.asarray(params['prefix'][f'{layer:02d}'])  # [P, 2, K, h]
        attention = block.layer[0].SelfAttention
        for part, module in enumerate((attention.k, attention.v)):
            mine = torch.tensor(rows[:, part].reshape(LENGTH, -1))
            handles.append(module.register_forward_hook(overwrite(mine)))
    losses = []
    for e in examples:
        text = np.concatenate([np.zeros(LENGTH, np.int32), e.query])
        # The decoder does not read what stands there, as it has no states.
        seen = np.concatenate([np.zeros(LENGTH), np.ones(len(e.query))])
        encoded = model.encoder(input_ids=to_torch(text[None]))
        out = model(
            encoder_outputs=encoded,
            attention_mask=to_torch(seen[None]),
            labels=to_torch(e.target[None]),
        )
        losses.append(out.loss.item() * len(e.target))
    for handle in handles:
        handle.remove()
    expected = sum(losses) / sum(len(e.target) for e in examples)
    return loss_row(
        f'{subject.name}: prefix, by hooks in PyTorch, loss',
        subject,
        kind,
        params,
        examples,
        expected,
    )


def overwrite(rows: torch.Tensor):
    """A hook that replaces the first rows of a layer's output."""

    def hook(module, inputs, output):
        del module, inputs
        return torch.cat([rows[None], output[:, len(rows) :]], dim=1)

    return hook


def compare_one(
    subject, kind, params, theirs, name, folder
) -> Iterator[table.Row]:
    """One adapter by both; a prefix also by pytorch.md's function."""
    examples = [e._replace(owner=0) for e in subject.case.examples]
    expected = mean_loss(theirs, examples, 'token').item()
    what = f'{subject.name}: {name}, our adapter'
    yield loss_row(f'{what}, loss', subject, kind, params, examples, expected)
    if subject.ours.lm.config.objective == 'masked_lm':
        return
    generator = Generator(
        TunedModel(subject.ours.transformer, kind),
        subject.ours.lm.base,
        eos_ids=subject.ours.lm.tokenizer.eos_ids,
        max_new_tokens=MAX_NEW_TOKENS,
        batch_size=4,
        place_rows=jax.device_put,
    )
    bank = jax.tree.map(lambda x: x[None], params)
    texts = generator(bank, [Query(0, e.query) for e in examples])
    expected = [generate(theirs, e.query) for e in examples]
    yield table.differing('kinds', f'{what}, greedy', texts, expected)
    if name == 'prefix':
        model = subject.theirs.model
        expected = [
            pytorch_page.generate(name, model, folder, e.query)
            for e in examples
        ]
        what += ", pytorch.md's with_prefix"
        yield table.differing('kinds', what, texts, expected)


def loss_row(what, subject, kind, params, examples, expected) -> table.Row:
    """The loss by our packed rows, against PyTorch's."""
    ours = [our_loss(subject, kind, params, examples)]
    return table.relative('kinds', what, ours, [expected], TOLERANCE)


def our_loss(subject, kind, params, examples) -> float:
    """The mean over target tokens, in packed rows."""
    tokens = sum(e.num_tokens for e in examples) + kind.slots
    targets = sum(len(e.target) for e in examples)
    model = TunedModel(subject.ours.transformer, kind)
    simulation = PackedSimulation(
        model,
        subject.ours.lm.base,
        model.packer(Shape(tokens, targets, (1,))),
        'token',
        jax.device_put,
    )
    bank = jax.tree.map(lambda x: jnp.asarray(x)[None], params)
    return float(simulation.gradients(bank, examples)[0][0])


def compare_saved_by_peft(subject, kind, name) -> Iterator[table.Row]:
    """An adapter that PEFT made, its weights at random, loaded by us."""
    sizes = subject.ours.lm.config
    own, _ = kind.to_hf(kind.init(_start(subject)))
    own = {k: v for k, v in own.items() if k != 'prefix_projection'}
    kind_of = {
        'PREFIX_TUNING': peft.PrefixTuningConfig,
        'LORA': peft.LoraConfig,
        'IA3': peft.IA3Config,
    }[own.pop('peft_type')]
    if name == 'prefix':
        own = {'num_virtual_tokens': LENGTH}  # PEFT finds out the rest
    theirs = peft.get_peft_model(
        subject.theirs.model, kind_of(task_type=TASKS[sizes.objective], **own)
    ).eval()
    for key, value in theirs.named_parameters():
        if any(part in key for part in ('lora_', 'ia3_', 'prompt_encoder')):
            value.data.normal_(float('ia3' in key), 0.1)
    examples = [e._replace(owner=0) for e in subject.case.examples]
    expected = mean_loss(theirs, examples, 'token').item()
    trained, _ = theirs.get_nb_trainable_parameters()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        params = hf_adapter.load(Path(folder), kind)
    restore(theirs)
    yield loss_row(
        f'{subject.name}: {name}, saved by PEFT, loss',
        subject,
        kind,
        params,
        examples,
        expected,
    )
    count = sum(x.size for x in jax.tree.leaves(params))
    what = f'{subject.name}: {name}, trained parameters'
    yield table.differing('counts', what, [count], [trained])


def _start(subject: Subject) -> Start:
    embedding = subject.ours.lm.base['embed']['embedding']
    return Start(np.random.default_rng(0), embedding, lambda text: [5])


def restore(model: peft.PeftModel) -> None:
    """Takes an adapter out of the model that it was put into."""
    if hasattr(model.base_model, 'unload'):
        model.base_model.unload()
    model.get_base_model().requires_grad_(False)
