"""From an instance's texts to the token ids of its query and its answers.

Query and separator are tokenized as one text. The tokens of an answer (a
target or a choice), for a decoder, are those that the whole text, query and
answer, has behind as many tokens as the query has: lm-eval's rule. Spaces that
end a query are read with the answer. What an encoder reads ends with the
end-of-sequence token, and its answers are tokenized apart.
"""

from collections.abc import Iterator, Sequence
import dataclasses
from typing import NamedTuple, Protocol

from fedprompt_jax.data import template as template_lib
from fedprompt_jax.data.sni_task import Task


class Tokenizer(Protocol):
    """The part of models.tokenizer.Tokenizer that the token store calls."""

    @property
    def eos_id(self) -> int: ...

    @property
    def mask_id(self) -> int | None: ...

    @property
    def fingerprint(self) -> str: ...

    def with_special_tokens(self, text: str) -> list[str | int]: ...

    def encode(
        self, texts: Sequence[Sequence[str | int]], bos: bool
    ) -> list[list[int]]: ...


@dataclasses.dataclass(frozen=True)
class Template:
    """Everything besides data and tokenizer that the tokens depend on.

    Attributes:
      text: the query, with {input} and perhaps other of template.FIELDS.
      separator: stands after every query, and is never truncated away.
      max_query: most tokens of a query, the separator included.
      max_target: most tokens of a target; a truncated one has no
        end-of-sequence token, since its text does not end there.
      target: what an {output} becomes.
    """

    text: str
    separator: str
    max_query: int
    max_target: int
    target: str = '{output}'


class Encoded(NamedTuple):
    """Token ids of an instance; the target without an end-of-sequence token."""

    query: list[int]
    target: list[int]
    choices: list[list[int]]


class QueryText(NamedTuple):
    """The text of a query.

    Attributes:
      read: all that is read before the answer, the separator included.
      spaces: those that ended it, which belong to the answer.
      body: the template's text, without the separator.
    """

    read: template_lib.Parts
    spaces: template_lib.Parts
    body: template_lib.Parts


class Encoder:
    """Encodes tasks, and counts what became of their texts.

    Attributes:
      truncated: queries that lost their end.
      merged: answers whose first token the query's end takes part in, so that
        the rule above leaves the model another split than the whole text's.
    """

    def __init__(
        self, tokenizer: Tokenizer, template: Template, objective: str
    ) -> None:
        self.tokenizer, self.template = tokenizer, template
        self.causal = objective == 'causal_lm'
        self.masked = objective == 'masked_lm'
        self.query = template_lib.parse(template.text, tokenizer)
        self.separator = template_lib.parse(template.separator, tokenizer)
        self.target = template_lib.parse(template.target, tokenizer)
        # What an encoder reads has an end.
        self.end = [] if self.causal else [tokenizer.eos_id]
        self.truncated = self.merged = 0
        (separator,) = tokenizer.encode([self.separator], False)
        self._require_room('', len(separator) + len(self.end))

    def encode(self, task: Task) -> Iterator[Encoded]:
        """Yields the token ids of each instance of a task.

        Raises:
          ValueError: a query has no token, or its separator has too many; or
            an answer has no token of its own.
        """
        texts = [
            self.text(task.definition, x.input, x.pair) for x in task.instances
        ]
        queries = self.encode_queries(texts)
        answers = self._encode_answers(task, texts, queries)
        for x, text, query, row in zip(
            task.instances, texts, queries, answers, strict=True
        ):
            where = f'{task.name}: instance {x.id}'
            target, *choices = row
            yield Encoded(self.cut(where, text, query), target, choices)

    def text(
        self,
        definition: str,
        input: str,
        pair: str = '',
        before: Sequence[str | int] = (),
    ) -> QueryText:
        """The text of a query.

        Args:
          definition: of the task.
          input: of the instance.
          pair: its second text.
          before: what stands in front of the template's text.
        """
        filled = template_lib.fill(
            self.query, input=input, definition=definition, pair=pair
        )
        body = template_lib.join([*before], filled)
        whole = template_lib.join(body, self.separator)
        if self.masked:  # an answer stands at the mask, not at the end
            return QueryText(whole, [], body)
        return QueryText(*template_lib.give_spaces(whole, []), body)

    def encode_queries(self, texts: Sequence[QueryText]) -> list[list[int]]:
        """Token ids of whole queries, of whatever length."""
        rows = self.tokenizer.encode([text.read for text in texts], True)
        return [[*row, *self.end] for row in rows]

    def _encode_answers(
        self, task: Task, texts: Sequence[QueryText], queries: list[list[int]]
    ) -> list[list[list[int]]]:
        """Ids of the first reference and of the choices, by instance."""
        answers = [(x.outputs[0], *x.choices) for x in task.instances]
        filled = [
            template_lib.join(
                text.read if self.causal else [],
                text.spaces,
                template_lib.fill(self.target, output=answer),
            )
            for text, row in zip(texts, answers, strict=True)
            for answer in row
        ]
        encoded = iter(self.tokenizer.encode(filled, self.causal))
        rows = [[next(encoded) for _ in row] for row in answers]
        if not self.causal:
            return rows
        for x, query, row, texts_ in zip(
            task.instances, queries, rows, answers, strict=True
        ):
            for i, (whole, answer) in enumerate(zip(row, texts_, strict=True)):
                where = f'{task.name}: instance {x.id}: {answer!r}'
                row[i] = self._behind(where, query, whole)
        return rows

    def _behind(
        self, where: str, query: list[int], whole: list[int]
    ) -> list[int]:
        """The whole text's ids behind as many as the query has."""
        if whole[: len(query)] != query:
            self.merged += 1
            if len(whole) <= len(query):
                raise ValueError(
                    f'{where} has no token of its own as an answer: the '
                    'tokenizer joins it to the end of the query. End '
                    'config.data.separator with a line break, or begin '
                    'config.data.target with a space.'
                )
        return whole[len(query) :]

    def cut(self, where: str, text: QueryText, query: list[int]) -> list[int]:
        """The query with at most max_query ids, the separator's among them.

        What is cut off is the end of the template's text. A token that the
        separator shares with the text before it stays whole.
        """
        most = self.template.max_query
        if not query:
            raise ValueError(
                f'{where}: the query has no token; give '
                'config.data.separator (such as a line break) some text.'
            )
        if len(query) <= most:
            return query
        self.truncated += 1
        (body,) = self.tokenizer.encode([text.body], True)
        pairs = zip(body, query, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(body))
        tail = query[same:]
        self._require_room(f'{where}: ', len(tail))
        return [*query[: most - len(tail)], *tail]

    def _require_room(self, where: str, tokens: int) -> None:
        if tokens >= self.template.max_query:
            end = ' and the end of what an encoder reads' if self.end else ''
            raise ValueError(
                f'{where}config.data.max_query={self.template.max_query} must '
                f'be above the {tokens} tokens that every query keeps, those '
                f'of config.data.separator={self.template.separator!r}{end}.'
            )
