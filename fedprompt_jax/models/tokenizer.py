"""The model's tokenizer, with its special ids decided once and explicitly."""

from collections.abc import Iterable, Iterator, Sequence
import copy
import dataclasses
import functools
import hashlib
import logging
from pathlib import Path
import re
from typing import TYPE_CHECKING

from fedprompt_jax.models import tokenizer_files, unigram
from fedprompt_jax.models.special_ids import SpecialIds

if TYPE_CHECKING:
    import tokenizers

# A text: strings, and between them the ids of special tokens. What a string
# spells is never a special token.
Text = Sequence[str | int]

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """Text to token ids and back; never changed, so threads can share it.

    Attributes:
      backend: without truncation and padding; it reads special tokens that
        are spelled out as ordinary text.
      eos_id: ends every target.
      pad_id: fills rows; eos_id where the model has none.
      bos_id: None where the model has none.
      starts: what the model's tokenizer puts before every text: bos_id, or
        nothing, or whatever its post-processor says.
      eos_ids: eos_id first, then all others that end a generated text.
      mask_id: where a masked model predicts; None where there is none.
      unk_id: stands for what the vocabulary cannot spell; None where there is
        none.
    """

    backend: 'tokenizers.Tokenizer'
    eos_id: int
    pad_id: int
    bos_id: int | None
    starts: tuple[int, ...]
    eos_ids: tuple[int, ...]
    mask_id: int | None = None
    unk_id: int | None = None

    @classmethod
    def from_folder(cls, folder: str | Path) -> 'Tokenizer':
        """The tokenizer of a Hugging Face checkpoint folder.

        Texts become the ids that transformers makes of them with the same
        files. An eos token that no tokenizer file names is that of
        generation_config.json, else of config.json; whatever those name
        besides ends a generated text as well.

        Raises:
          ValueError: there is no tokenizer or no end-of-text token, or a file
            is damaged.
        """
        folder = Path(folder)
        tokens = tokenizer_files.read(folder)
        backend, ids = tokens.backend, SpecialIds(folder, tokens)
        backend.no_truncation()
        backend.no_padding()
        eos_ids = ids.ends()
        bos_id, mask_id = ids.of('bos'), ids.of('mask')
        pad_id = ids.of('pad')
        if pad_id is None:
            _LOG.info(
                '%s has no padding token: padding with the end-of-text '
                'token %d.',
                folder,
                eos_ids[0],
            )
        backend.encode_special_tokens = True
        return cls(
            backend=backend,
            eos_id=eos_ids[0],
            pad_id=eos_ids[0] if pad_id is None else pad_id,
            bos_id=bos_id,
            starts=_starts(backend),
            eos_ids=eos_ids,
            mask_id=mask_id,
            unk_id=ids.of('unk'),
        )

    @property
    def adds_bos(self) -> bool:
        """Whether every text starts with bos_id."""
        return self.bos_id is not None and self.starts[:1] == (self.bos_id,)

    @functools.cached_property
    def vocab_size(self) -> int:
        """One more than the largest id of the vocabulary proper.

        (Tokens that were added later, such as one for padding, may lie beyond
        it, and beyond the model's table.)
        """
        ids = self.backend.get_vocab(with_added_tokens=False).values()
        return max(i for i in ids if i not in self._special) + 1

    @functools.cached_property
    def _special(self) -> dict[int, 'tokenizers.AddedToken']:
        """Special tokens by their ids."""
        added = self.backend.get_added_tokens_decoder()
        return {i: token for i, token in added.items() if token.special}

    @functools.cached_property
    def _reserved(self) -> frozenset[int]:
        """Ids that no string may become: special tokens but for unk_id."""
        return frozenset(self._special) - {self.unk_id}

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 of the serialised tokenizer and the special ids."""
        ids: tuple = (self.eos_ids, self.pad_id, self.bos_id, self.starts)
        if self.mask_id is not None:
            ids = (*ids, self.mask_id)
        text = self.backend.to_str() + repr(ids)
        return hashlib.sha256(text.encode()).hexdigest()

    def encode_batch(self, texts: list[str], bos: bool) -> list[list[int]]:
        """Token ids of each text, without an end-of-text token.

        With `bos`, texts start with what the model's own tokenizer puts there.
        A special token that a text spells out is ordinary text.
        """
        return self.encode([[text] for text in texts], bos)

    def encode(self, texts: Sequence[Text], bos: bool) -> list[list[int]]:
        """Token ids of each text, special tokens as ids among the strings.

        Args:
          texts: see Text.
          bos: see encode_batch.
        """
        spelled = [self._spell(text) for text in texts]
        marks = [[p for p in text if not isinstance(p, str)] for text in texts]
        # Special tokens are looked for where a text has some, and spells no
        # others.
        looked_for = [
            bool(ids) and self._spelled_specials(text) == ids
            for text, ids in zip(spelled, marks, strict=True)
        ]
        rows = self._encode_strings(spelled, looked_for)
        for i, (row, ids) in enumerate(zip(rows, marks, strict=True)):
            if [token for token in row if token in self._reserved] != ids:
                rows[i] = self._encode_between(texts[i])
        return [[*(self.starts if bos else ()), *row] for row in rows]

    def _encode_strings(
        self, texts: Sequence[str], looked_for: Sequence[bool]
    ) -> list[list[int]]:
        """Ids of each text, special tokens looked for in some of them."""
        rows: list[list[int]] = [[] for _ in texts]
        for backend, chosen in (
            (self._reads_text, [not wanted for wanted in looked_for]),
            (self._reads_special, looked_for),
        ):
            places = [i for i, wanted in enumerate(chosen) if wanted]
            if places:
                encoded = backend.encode_batch(
                    [texts[i] for i in places], add_special_tokens=False
                )
                for i, encoding in zip(places, encoded, strict=True):
                    rows[i] = encoding.ids
        return rows

    def with_special_tokens(self, text: str) -> list[str | int]:
        """A text of the config, in which special tokens may be spelled out."""
        parts: list[str | int] = []
        end = 0
        for match in self._special_regex.finditer(text):
            parts += [text[end : match.start()], self._ids[match[0]]]
            end = match.end()
        return [part for part in (*parts, text[end:]) if part != '']

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        """Ids of special tokens by their spelling."""
        return {token.content: i for i, token in self._special.items()}

    @functools.cached_property
    def _special_regex(self) -> re.Pattern[str]:
        """Finds special tokens, the longest of those that begin at a place."""
        words = sorted(self._ids, key=lambda word: (-len(word), word))
        return re.compile('|'.join(map(re.escape, words)) or r'(?!)')

    def _spelled_specials(self, text: str) -> list[int]:
        return [self._ids[word] for word in self._special_regex.findall(text)]

    def _spell(self, text: Text) -> str:
        """A text with its special tokens spelled out."""
        return ''.join(
            part
            if isinstance(part, str)
            else self.backend.id_to_token(part) or ''
            for part in text
        )

    @functools.cached_property
    def _reads_text(self) -> 'tokenizers.Tokenizer':
        """A backend that finds no special token in a text."""
        return unigram.without_pieces(self.backend, self._reserved)

    @functools.cached_property
    def _reads_special(self) -> 'tokenizers.Tokenizer':
        """A backend that finds special tokens in a text."""
        backend = copy.deepcopy(self.backend)
        backend.encode_special_tokens = False
        return backend

    def _encode_between(self, text: Text) -> list[int]:
        """Ids of a text whose strings are read one by one, in safe pieces."""
        ids: list[int] = []
        for i, part in enumerate(text):
            if not isinstance(part, str):
                ids.append(part)
                continue
            before, after = text[i - 1 : i], text[i + 1 : i + 2]
            # Some special tokens swallow the spaces beside them.
            if any(self._swallows(token, 'rstrip') for token in before):
                part = part.lstrip()
            if any(self._swallows(token, 'lstrip') for token in after):
                part = part.rstrip()
            for piece in self._pieces_without_special(part):
                ids += self._reads_text.encode(
                    piece, add_special_tokens=False
                ).ids
        return ids

    def _swallows(self, token: str | int, side: str) -> bool:
        return token in self._special and getattr(self._special[token], side)

    def _pieces_without_special(self, text: str) -> Iterator[str]:
        """The text, cut where its vocabulary would find a special token."""
        ids = self._reads_text.encode(text, add_special_tokens=False).ids
        if not self._reserved & set(ids):
            yield text
            return
        start = 0
        for match in self._special_regex.finditer(text):
            yield text[start : match.start() + 1]
            start = match.start() + 1
        yield text[start:]

    def pieces(self, text: str) -> list[str]:
        """The vocabulary's pieces of a text, without their space marks."""
        tokens = self.backend.encode(text, add_special_tokens=False).tokens
        return [t.lstrip('Ġ▁') for t in tokens if t.lstrip('Ġ▁')]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, special tokens left out."""
        return self.decode_batch([ids])[0]

    def decode_batch(self, rows: Iterable[Iterable[int]]) -> list[str]:
        """The text of each row of ids, special tokens left out."""
        ids = [[int(i) for i in row] for row in rows]
        return self.backend.decode_batch(ids, skip_special_tokens=True)


def _starts(backend: 'tokenizers.Tokenizer') -> tuple[int, ...]:
    """The ids that the post-processor puts before a text."""
    whole = backend.encode('a', add_special_tokens=True).ids
    text = backend.encode('a', add_special_tokens=False).ids
    places = range(len(whole) - len(text) + 1)
    first = next((i for i in places if whole[i : i + len(text)] == text), 0)
    return tuple(whole[:first])
