"""A frozen model under a prompt, for whole_run_torch.py: losses and scores.

One example at a time, by transformers' forward pass and rouge-score's scorer.
"""

from collections.abc import Sequence
import dataclasses
import string

from ml_collections import config_dict
import numpy as np
from rouge_score import rouge_scorer
import torch
import transformers

from tests.parity.whole_run_data import Batch, Data

Prompt = torch.Tensor | None  # [P, D], or the bare model


@dataclasses.dataclass
class Score:
    """What one prompt answers to one instance, in the words of the log."""

    prediction: str
    rouge_l: float
    exact_match: float
    loss: float | None
    target_tokens: int
    output_tokens: int


class Model:
    """A model and the data that it is asked about.

    Attributes:
      data: all that a run reads.
      margins: of each greedy choice so far, the first logit above the second.
    """

    def __init__(self, config: config_dict.ConfigDict) -> None:
        torch.set_num_threads(1)
        transformers.utils.logging.disable_progress_bar()
        self.config = config
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            config.model.source,
            dtype=torch.float32,
            attn_implementation='eager',
        ).eval()
        self.model.requires_grad_(False)
        self.embed = self.model.get_input_embeddings()
        self.end = self.model.generation_config.eos_token_id
        self.rouge = rouge_scorer.RougeScorer(['rougeL'], use_stemmer=True)
        self.data = Data(config, self.end)
        self.margins: list[float] = []

    @property
    def layers(self) -> int:
        """Weights that each token passes."""
        return sum(p.numel() for p in self.model.model.layers.parameters())

    @property
    def head(self) -> int:
        """Weights that each target token passes besides."""
        return self.model.lm_head.weight.numel()

    def logits(self, prompt: Prompt, tokens: Sequence[int]) -> torch.Tensor:
        """[n, V] at each of n tokens."""
        rows, length = self.embed(torch.tensor(tokens)), 0
        if prompt is not None:
            rows, length = torch.cat([prompt, rows]), len(prompt)
        return self.model(inputs_embeds=rows[None]).logits[0, length:]

    def loss(self, prompt: Prompt, i: int) -> torch.Tensor:
        """The sum of -log p over the target of an instance (equation 1)."""
        x = self.data.instances[i]
        logits = self.logits(prompt, x.query + x.target[:-1])
        return torch.nn.functional.cross_entropy(
            logits[len(x.query) - 1 :],
            torch.tensor(x.target),
            reduction='sum',
        )

    def gradient(
        self, prompt: torch.Tensor, batch: Batch
    ) -> tuple[float, torch.Tensor]:
        """The mean loss of a batch at a prompt, and its gradient."""
        assert self.config.loss == 'sequence', self.config.loss
        variable = prompt.detach().clone().requires_grad_()
        losses = torch.stack([self.loss(variable, i) for i in batch])
        (gradient,) = torch.autograd.grad(losses.mean(), variable)
        return losses.mean().item(), gradient

    def greedy(self, prompt: Prompt, query: list[int]) -> list[int]:
        """The likeliest tokens one by one, without the end token."""
        out: list[int] = []
        while len(out) < self.config.evaluation.max_new_tokens:
            last = self.logits(prompt, query + out)[-1]
            first, second = last.topk(2).values.tolist()
            self.margins.append(first - second)
            token = int(last.argmax())
            if token == self.end:
                break
            out.append(token)
        return out

    @torch.no_grad()
    def score(self, prompt: Prompt, i: int) -> Score:
        """Text and scores of one instance."""
        x = self.data.instances[i]
        out = self.greedy(prompt, x.query)
        text = self.data.tokenizer.decode(out, skip_special_tokens=True).strip()
        score = self.score_text(text, i)
        score.loss, score.output_tokens = self.loss(prompt, i).item(), len(out)
        return score

    def score_text(self, text: str, i: int) -> Score:
        """Scores of a text that no model has written."""
        x = self.data.instances[i]
        return Score(
            text,
            max(
                self.rouge.score(reference, text)['rougeL'].fmeasure
                for reference in x.outputs
            ),
            float(any(normal(text) == normal(r) for r in x.outputs)),
            None,
            len(x.target),
            0,
        )


def summary(scores: list[Score]) -> dict[str, float]:
    """Means: percentages, and nats a target."""
    return {
        'rouge_l': 100 * float(np.mean([s.rouge_l for s in scores])),
        'exact_match': 100 * float(np.mean([s.exact_match for s in scores])),
        'loss': float(np.mean([s.loss or np.nan for s in scores])),
    }


def normal(text: str) -> str:
    """As SNI compares: lower-cased, without punctuation, single spaces."""
    letters = [c for c in text.lower() if c not in string.punctuation]
    return ' '.join(''.join(letters).split())
