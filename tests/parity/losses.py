"""Losses and gradients of prompts: both simulations against PEFT."""

from collections.abc import Iterator
from pathlib import Path
import tempfile

import numpy as np
import peft

from fedprompt_jax.bank import hf_adapter
from fedprompt_jax.data.examples import LOSSES
from fedprompt_jax.peft.prompt import Prompt
from tests.parity import subjects, table
from tests.parity.subjects import Subject
from tests.parity.theirs import TASKS, mean_loss, own_loss, weight

TOLERANCE = 1e-4
# Thirty layers amplify what f32 rounds (see doubles.py, which has the same
# gradients in f64): measured up to 1.9e-4 on two sets of texts.
DEEP = 5e-4


def compare(subject: Subject) -> Iterator[table.Row]:
    """All owners at once by us, one after the other by PEFT."""
    name, _, ours, theirs, case, _ = subject
    # How a loss is averaged is the same for all families.
    for loss in ('token',) if subject.is_family else LOSSES:
        expected = theirs.gradients(case.bank, case.examples, loss)
        for simulation in ('packed', 'vmap'):
            got = ours.using(simulation).gradients(
                case.bank, case.examples, loss
            )
            for what, a, b in zip(('loss', 'grad'), got, expected, strict=True):
                deep = what == 'grad' and name == subjects.GGUF
                tolerance = DEEP if deep else TOLERANCE
                what = f'{name}: {loss} {what}, {simulation}'
                yield table.relative('PEFT', what, a, b, tolerance)
    if ours.lm.config.objective == 'causal_lm':
        yield compare_own_loss(subject)
    yield from compare_bare(subject)
    if not ours.lm.config.embedding_width:  # PEFT takes it for the width
        yield compare_adapter(subject)


def compare_own_loss(subject: Subject) -> table.Row:
    """The loss that a Hugging Face model computes itself, given labels."""
    name, _, ours, theirs, case, _ = subject
    got, _ = ours.gradients(case.bank, case.examples, 'token')
    expected = [
        own_loss(
            theirs.adapter(prompt),
            [e for e in case.examples if e.owner == owner],
        )
        for owner, prompt in enumerate(case.bank)
    ]
    what = f"{name}: token loss, the model's own"
    return table.relative('PEFT', what, got, expected, TOLERANCE)


def compare_bare(subject: Subject) -> Iterator[table.Row]:
    """A prompt of length 0 against the bare model."""
    name, _, ours, theirs, case, _ = subject
    bank = case.bank[:, :0]
    expected, _ = theirs.gradients(bank, case.examples, 'token')
    for simulation in ('packed', 'vmap'):
        got, _ = ours.using(simulation).gradients(bank, case.examples, 'token')
        what = f'{name}: bare model, {simulation}'
        yield table.relative('PEFT', what, got, expected, TOLERANCE)


def compare_adapter(subject: Subject) -> table.Row:
    """An adapter that PEFT made and saved, loaded by us."""
    name, _, ours, theirs, case, _ = subject
    examples = [e._replace(owner=0) for e in case.examples]
    config = peft.PromptTuningConfig(
        task_type=TASKS[ours.lm.config.objective],
        num_virtual_tokens=7,
        num_transformer_submodules=1,  # before the encoder alone
        prompt_tuning_init=peft.PromptTuningInit.RANDOM,
    )
    model = peft.get_peft_model(theirs.model, config).eval()
    theirs.model.requires_grad_(False)
    expected = mean_loss(model, examples, 'token').item()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        prompt = np.asarray(hf_adapter.load(Path(folder), Prompt(7))['prompt'])
    assert prompt.shape == weight(model).shape
    got, _ = ours.gradients(prompt[None], examples, 'token')
    what = f'{name}: adapter saved by PEFT, loss'
    return table.relative('PEFT', what, got, [expected], TOLERANCE)
