"""Kinds that PEFT lacks: their loss and gradient by hooks in PyTorch."""

from collections.abc import Iterator
import contextlib

import flax.traverse_util
import jax
import numpy as np
import torch
from torch.nn import functional

from fedprompt_jax.bank import modules
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import Kind, ModelInfo, Start
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.models import families
from fedprompt_jax.models.sizes import param_shapes
from fedprompt_jax.peft.adapter import Adapter
from fedprompt_jax.peft.attempt import Attempt
from fedprompt_jax.peft.idpg import IDPG
from fedprompt_jax.peft.lpt import LatePrompt
from tests.parity import table
from tests.parity.subjects import Subject
from tests.parity.theirs import to_torch

TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3  # of leaves that hardly change the loss, too
LENGTH, WIDTH, LAYER = 3, 5, 1
TOKENS = ((5, 6, 7), (20, 30, 40))
# Where transformers gives a layer no mask and no window, so that it can be
# called with more hidden states than the model was given tokens.
LATE = (
    'tiny_tied', 'llama_biased', 'llama_31', 'qwen2', 'opt', 'pythia',
    'neox_serial', 'roberta',
)  # fmt: skip

Tensors = dict[str, torch.Tensor]


def compare(subject: Subject) -> Iterator[table.Row]:
    """Loss and gradient of each kind in packed rows, and by PyTorch."""
    c = subject.ours.lm.config
    stacks = [(('layers',), c.num_layers, c.width)]
    if c.encoder:
        encoder = c.encoder.num_layers, c.encoder.width
        stacks.append((('encoder', 'layers'), *encoder))
    kinds: dict[str, Kind] = {'bottleneck': Adapter(tuple(stacks), WIDTH)}
    kinds['query'] = IDPG(LENGTH, WIDTH)
    kinds['mixture'] = Attempt(LENGTH, WIDTH, None, TOKENS, temperature=0.1)
    if subject.name in LATE:
        learned = bool(c.position_rows)
        kinds['late'] = LatePrompt(LENGTH, LAYER, c.width, learned)
    for name, kind in kinds.items():
        yield from compare_one(subject, name, kind)


def compare_one(subject: Subject, name: str, kind: Kind) -> Iterator[table.Row]:
    """One owner's parameters, away from where they start."""
    rng = np.random.default_rng(0)
    table_of = subject.ours.lm.base['embed']['embedding']
    params = jax.tree.map(
        lambda x: x + rng.normal(0, 0.2, x.shape).astype(np.float32),
        kind.init(Start(rng, table_of, lambda text: [5])),
    )
    examples = [e._replace(owner=0) for e in subject.case.examples]
    loss, grads = ours(subject, kind, params, examples)
    flat = flax.traverse_util.flatten_dict(params, sep='/')
    theirs = {k: torch.tensor(np.asarray(x)) for k, x in flat.items()}
    for x in theirs.values():
        x.requires_grad_(True)
    total = sum(in_torch(subject, kind, theirs, e) for e in examples)
    expected = total / sum(len(e.target) for e in examples)
    what = f'{subject.name}: {name}'
    yield table.relative(
        'others', f'{what}, loss', [loss], [expected.item()], TOLERANCE
    )
    found = torch.autograd.grad(expected, list(theirs.values()))
    yield table.relative(
        'others',
        f'{what}, gradient',
        [grads[key].ravel() for key in flat],
        [x.numpy().ravel() for x in found],
        GRADIENT_TOLERANCE,
    )


def ours(subject, kind, params, examples) -> tuple[float, dict]:
    """The mean over target tokens and its gradient, in packed rows."""
    tokens = sum(e.num_tokens + kind.slots for e in examples)
    targets = sum(len(e.target) for e in examples)
    model = TunedModel(subject.ours.transformer, kind)
    packer = model.packer(Shape(tokens, targets, (1,)))
    base = subject.ours.lm.base
    simulation = PackedSimulation(model, base, packer, 'token', jax.device_put)
    bank = jax.tree.map(lambda x: x[None], params)
    losses, grads = simulation.gradients(bank, examples)
    flat = flax.traverse_util.flatten_dict(grads, sep='/')
    return float(losses[0]), {k: np.asarray(x[0]) for k, x in flat.items()}


def in_torch(subject, kind, params: Tensors, e: Example) -> torch.Tensor:
    """The sum of -log p over an example's targets."""
    model, at = subject.theirs.model, torch.tensor(e.target_index)
    inputs = {'input_ids': to_torch(e.tokens[None])}
    if kind.reads_query:
        embed = model.get_input_embeddings()
        tokens = embed(inputs.pop('input_ids'))
        query = embed(to_torch(e.query))
        make = made_prompt if isinstance(kind, IDPG) else mixed_prompt
        prompt = make(kind, params, query, embed)
        inputs['inputs_embeds'] = torch.cat([prompt[None], tokens], 1)
        at = at + LENGTH
    if subject.ours.lm.config.encoder is not None:
        inputs['labels'] = to_torch(e.target[None])
        at = torch.arange(len(e.target))
    with contextlib.ExitStack() as hooks:
        if isinstance(kind, Adapter):
            hook_adapters(subject, params, hooks)
        elif isinstance(kind, LatePrompt):
            hook_late(model, params['prompt'], len(e.tokens), hooks)
            at = at + LENGTH
        logits = model(**inputs).logits[0, at].double()
    target = to_torch(e.target)
    return functional.cross_entropy(logits, target, reduction='sum')


def made_prompt(kind, params: Tensors, query, embed) -> torch.Tensor:
    """IDPG's prompt [P, E] of a query's embeddings [q, E]."""
    del kind, embed
    w = params
    hidden = functional.linear(query.mean(0), w['down'].T, w['down_bias'])
    up = w['up'].flatten(1).T
    rows = functional.linear(functional.gelu(hidden), up, w['prompt'].ravel())
    return rows.view_as(w['prompt'])


def mixed_prompt(kind, params: Tensors, query, embed) -> torch.Tensor:
    """ATTEMPT's, of sources that are embeddings of tokens."""
    w, size = params, query.shape[1]
    every = torch.cat([embed(torch.tensor(TOKENS)), w['prompt'][None]])
    x = functional.silu(query.amax(0) @ w['down']) @ w['up']
    norm = w['norm_scale'], w['norm_bias']
    x = functional.layer_norm(x, (size,), *norm, eps=1e-5)
    scores = every.amax(1) @ x / (kind.temperature * size)
    shares = functional.softmax(scores, dim=0)
    return w['prompt'] + torch.einsum('t,tpe->pe', shares, every)


def hook_adapters(subject: Subject, params: Tensors, hooks) -> None:
    """Behind the last linear layer of each attention and each MLP."""
    lm = subject.ours.lm
    info = ModelInfo(
        lm.config, families.names(lm.hf_config), param_shapes(lm.config)
    )
    for m in modules.find(info, 'attention/output|mlp/down', ''):
        *stack, part, _ = m.path
        for layer, name in enumerate(m.names):
            w = {
                key: params['/'.join((*stack, f'{part}_adapter', key))][layer]
                for key in ('down', 'down_bias', 'up', 'up_bias')
            }
            module = subject.theirs.model.get_submodule(name)
            hooks.enter_context(contextlib.closing(Hook(module, adapting(w))))


def adapting(w: Tensors):
    """A hook that adds an adapter's output to a layer's."""

    def hook(module, inputs, y):
        del module, inputs
        hidden = functional.gelu(y @ w['down'] + w['down_bias'])
        return y + hidden @ w['up'] + w['up_bias']

    return hook


class Hook:
    """A forward hook until it is closed."""

    def __init__(self, module, function, before: bool = False) -> None:
        if before:
            self._handle = module.register_forward_pre_hook(
                function, with_kwargs=True
            )
        else:
            self._handle = module.register_forward_hook(function)

    def close(self) -> None:
        self._handle.remove()


def hook_late(model, prompt: torch.Tensor, tokens: int, hooks) -> None:
    """Before layer LAYER the prompt is put before the hidden states."""
    body = model.base_model
    body = getattr(body, 'decoder', None) or getattr(body, 'encoder', body)
    blocks = next(
        x for name in ('layers', 'layer', 'h')
        if (x := getattr(body, name, None)) is not None
    )  # fmt: skip
    rotary = getattr(body, 'rotary_emb', None)
    positions = torch.arange(LENGTH + tokens)[None]

    def longer(number):
        def hook(module, args, kwargs):
            del module
            if kwargs.get('attention_mask') is not None:
                raise ValueError('The mask is of the tokens alone.')
            if number == LAYER:
                if args:
                    args = (torch.cat([prompt[None], args[0]], 1), *args[1:])
                else:
                    x = kwargs['hidden_states']
                    x = torch.cat([prompt[None], x], 1)
                    kwargs = kwargs | {'hidden_states': x}
            if rotary is not None:
                turned = rotary(args[0], positions)
                kwargs = kwargs | {'position_embeddings': turned}
            return args, kwargs

        return hook

    for number, block in enumerate(blocks):
        if number >= LAYER:
            hooks.enter_context(
                contextlib.closing(Hook(block, longer(number), before=True))
            )
