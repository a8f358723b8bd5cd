"""Fine-tuning, with a choice of the prompt for each example at the end.

Profit's genie (arXiv 2310.04627, appendix) takes for each example the better of
the global and the personalized answer, by its references. A router sees no
reference: it takes the prompt that is more confident (evaluation/routing.py).
"""

from collections.abc import Iterator
import math

from ml_collections import config_dict

from fedprompt_jax.bank.kind import Kind
from fedprompt_jax.evaluation.routing import ANSWER, QUERY
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.personalization import (
    Answer,
    Method,
    Route,
    Setup,
    fine_tune,
)

LABELS = {QUERY: 'routed_by_query', ANSWER: 'routed_by_answer'}  # by rule
_RULES = 'config.personalization.router.rules'


def make(setup: Setup) -> Method:
    """Fine-tuning, which answers by `config.personalization.router` besides."""
    base, c = fine_tune.make(setup), setup.config.personalization.router
    rules = tuple(c.rules)

    def last_answers(state: fine_tune.State, params) -> list[Answer]:
        routed = [
            Answer(
                LABELS[rule],
                state.bank,
                alpha=math.nan,
                route=Route(
                    params, rule, c[f'{rule}_threshold'], QUERY in rules
                ),
            )
            for rule in rules
        ]
        return [*base.last_answers(state, params), *routed]

    return base._replace(last_answers=last_answers)


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with the rules, the thresholds and the fine-tuning."""
    yield from fine_tune.faults(config)
    c = config.personalization.router
    rules = c.rules
    known = isinstance(rules, (tuple, list)) and set(rules) <= set(LABELS)
    if not known or not rules or len(set(rules)) < len(rules):
        yield (
            f'{_RULES}={rules!r} must be one or both of {QUERY!r} and '
            f"{ANSWER!r}, such as '({QUERY!r}, {ANSWER!r})'."
        )
    for rule in LABELS:
        value = c[f'{rule}_threshold']
        if math.isnan(value):
            yield (
                f'config.personalization.router.{rule}_threshold={value!r} '
                'must be a number of nats a token, such as 0.0; -inf takes '
                'the personalized prompt always, inf the global one.'
            )


def model_faults(
    config: config_dict.ConfigDict, model: ModelConfig, kind: Kind
) -> Iterator[str]:
    """Why there is no likelihood of a query, where a rule asks for it."""
    rules = config.personalization.router.rules
    if QUERY not in rules:
        return
    if kind.reads_query:
        why = f'config.peft={config.peft!r} makes a prompt of the query itself'
    elif model.encoder is not None:
        why = 'an encoder reads the query and gives no likelihood of it'
    elif not model.causal:
        why = 'a masked language model gives no likelihood of the query'
    else:
        return
    yield (
        f'{_RULES}={tuple(rules)!r} has {QUERY!r}, and {why} '
        f'(config.model.source={config.model.source!r}); use '
        f"'({ANSWER!r},)'."
    )
