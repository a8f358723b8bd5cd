"""The questions of cases.Implementation, answered by transformers and PEFT."""

from pathlib import Path
import tempfile
from typing import Any

import numpy as np
import peft
import torch
from torch.nn.functional import cross_entropy
import transformers

from fedprompt_jax.bank import hf_adapter
from fedprompt_jax.data.examples import Example
from fedprompt_jax.models import source
from fedprompt_jax.peft.prompt import Prompt
from tests.parity.cases import MAX_NEW_TOKENS

AUTO = {
    'causal_lm': transformers.AutoModelForCausalLM,
    'masked_lm': transformers.AutoModelForMaskedLM,
    'seq2seq_lm': transformers.AutoModelForSeq2SeqLM,
}
TASKS = {
    'causal_lm': peft.TaskType.CAUSAL_LM,
    'masked_lm': peft.TaskType.FEATURE_EXTRACTION,  # which takes any model
    'seq2seq_lm': peft.TaskType.SEQ_2_SEQ_LM,
}
IGNORED = -100  # label of what has no loss, in Hugging Face's models
GREEDY = {'do_sample': False, 'max_new_tokens': MAX_NEW_TOKENS}


class Theirs:
    """A model folder as PyTorch computes it on the CPU."""

    def __init__(
        self, folder: Path, dtype: torch.dtype = torch.float32, **kwargs: Any
    ) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(2)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.sizes, self.objective = None, 'causal_lm'
        if 'gguf_file' not in kwargs:  # which has no config.json beside it
            self.sizes = source.read_config(folder)
            self.objective = self.sizes.objective
        self.model, report = AUTO[self.objective].from_pretrained(
            folder, dtype=dtype, output_loading_info=True, **kwargs
        )
        strange = {k: v for k, v in report.items() if v}
        if strange:
            raise ValueError(f'{folder} does not fit transformers: {strange}')
        self.model.eval()
        self.model.requires_grad_(False)

    def logits(self, texts: list[np.ndarray]) -> list[np.ndarray]:
        """See cases.Implementation; a decoder reads the encoder's text too."""
        if self.objective != 'causal_lm':
            more = ['decoder_input_ids'] * (self.objective == 'seq2seq_lm')
            with torch.no_grad():
                out = [
                    self.model(
                        **dict.fromkeys(['input_ids', *more], pad([t], 0))
                    )
                    for t in texts
                ]
            return [x.logits[0].float().numpy() for x in out]
        tokens, mask = pad(texts, 0), pad([np.ones_like(t) for t in texts], 0)
        with torch.no_grad():
            out = self.model(input_ids=tokens, attention_mask=mask).logits
        out = out.float().numpy()
        return [x[: len(t)] for x, t in zip(out, texts, strict=True)]

    def adapter(self, prompt: np.ndarray) -> Any:
        """PEFT's model of a prompt [P, D] that our hf_adapter saved.

        PEFT loads prompt adapters frozen, so it is unfrozen here. The bare
        model where P = 0, which PEFT has no adapter for.
        """
        if not len(prompt):
            return self.model
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder), prompt)
            model = peft.PeftModel.from_pretrained(self.model, folder).eval()
        model.to(self.model.dtype)
        weight(model).requires_grad_(True)
        return model

    def save(self, folder: Path, prompt: np.ndarray) -> None:
        """Writes a prompt [P, D] as a run does."""
        kind, params = Prompt(len(prompt)), {'prompt': prompt}
        hf_adapter.save(folder, kind, params, 'base', self.sizes)

    def gradients(
        self, bank: np.ndarray, examples: list[Example], loss: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """See cases.Implementation; one owner after the other."""
        losses, grads = [], []
        for owner, prompt in enumerate(bank):
            model = self.adapter(prompt)
            own = [e for e in examples if e.owner == owner]
            value = mean_loss(model, own, loss)
            grad = torch.zeros(prompt.shape)
            if len(prompt):
                (grad,) = torch.autograd.grad(value, weight(model))
            losses.append(value.item())
            grads.append(grad.numpy())
        return np.array(losses), np.stack(grads)

    def greedy(
        self, bank: np.ndarray, examples: list[Example]
    ) -> list[np.ndarray]:
        """See cases.Implementation; one query after the other."""
        models = [self.adapter(prompt) for prompt in bank]
        return [generate(models[e.owner], e.query) for e in examples]

    def logits_alone(
        self, bank: np.ndarray, examples: list[Example]
    ) -> list[np.ndarray]:
        """[t, V] at each example's t targets, each in a batch of its own."""
        models = [self.adapter(prompt) for prompt in bank]
        with torch.no_grad():
            out = [target_logits(models[e.owner], e) for e in examples]
        return [x.numpy() for x in out]


def weight(model: Any) -> torch.nn.Parameter:
    """The prompt [P, D] of a PEFT model."""
    return model.prompt_encoder[model.active_adapter].embedding.weight


def pad(rows: list[np.ndarray], value: int) -> torch.Tensor:
    """int64 [R, L], padded on the right."""
    return torch.nn.utils.rnn.pad_sequence(
        [to_torch(r) for r in rows],
        batch_first=True,
        padding_value=value,
    )


def mean_loss(model: Any, examples: list[Example], loss: str) -> torch.Tensor:
    """An owner's loss, f64, from the model's logits.

    Not the model's own, whose log-softmax over 49,152 logits in f32 is wrong
    by 1e-5: see own_loss.
    """
    if examples[0].at is not None:
        parts = [token_losses(model, e) for e in examples]
    else:
        tokens, mask, _ = batch(examples)
        logits = model(input_ids=tokens, attention_mask=mask).logits
        parts = []
        for e, row in zip(examples, logits, strict=True):
            row = row[-tokens.shape[1] :]  # without the prompt
            at = row[len(e.query) - 1 : len(e.query) + len(e.target) - 1]
            parts.append(cross_entropies(at, e))
    if loss == 'token':
        return torch.cat(parts).mean()
    each = [p.mean() if loss == 'example' else p.sum() for p in parts]
    return torch.stack(each).mean()


def own_loss(model: Any, examples: list[Example]) -> float:
    """What the model itself takes for the loss of a token, given labels."""
    tokens, mask, labels = batch(examples)
    with torch.no_grad():
        out = model(input_ids=tokens, attention_mask=mask, labels=labels)
    return out.loss.item()


def batch(examples: list[Example]) -> tuple[torch.Tensor, ...]:
    """Tokens, mask and labels of texts, int64 [N, L] each."""
    full = [np.concatenate([e.query, e.target]) for e in examples]
    labels = [
        np.concatenate([np.full_like(e.query, IGNORED), e.target])
        for e in examples
    ]
    mask = pad([np.ones_like(t) for t in full], 0)
    return pad(full, 0), mask, pad(labels, IGNORED)


def target_logits(model: Any, e: Example) -> torch.Tensor:
    """[t, V] at an example's targets, by a batch of its own."""
    tokens = pad([e.tokens], 0)
    inputs = {'input_ids': tokens, 'attention_mask': torch.ones_like(tokens)}
    config = model.config if hasattr(model, 'config') else {}
    if getattr(config, 'is_encoder_decoder', False):
        # PyTorch's own shift: labels in, the start token before them.
        return model(**inputs, labels=pad([e.target], 0)).logits[0]
    logits = model(**inputs).logits[0, -len(e.tokens) :]
    return logits[e.target_index]


def token_losses(model: Any, e: Example) -> torch.Tensor:
    """-log p [t] of an example's target tokens, by a batch of its own."""
    return cross_entropies(target_logits(model, e), e)


def cross_entropies(logits: torch.Tensor, e: Example) -> torch.Tensor:
    """-log p, f64 [t], of an example's targets from logits [t, V]."""
    return cross_entropy(logits.double(), to_torch(e.target), reduction='none')


def to_torch(x: np.ndarray) -> torch.Tensor:
    """int64."""
    return torch.tensor(np.asarray(x), dtype=torch.int64)


def generate(model: Any, query: np.ndarray) -> np.ndarray:
    """Greedy tokens after a query, without the end token."""
    tokens = pad([query], 0)
    out = model.generate(
        input_ids=tokens, attention_mask=torch.ones_like(tokens), **GREEDY
    )
    return new_tokens(model, out[0], len(query))


def new_tokens(model: Any, out: torch.Tensor, given: int) -> np.ndarray:
    """What generate() adds to the tokens given, without the end token."""
    # An encoder's model puts out the start token and what follows.
    seq2seq = getattr(model.config, 'is_encoder_decoder', False)
    new = out[1 if seq2seq else given :].numpy()
    ends = np.flatnonzero(new == model.generation_config.eos_token_id)
    return new[: ends[0]] if len(ends) else new
