"""The model's tokenizer, with its special ids decided once and explicitly."""

from collections.abc import Iterable
import dataclasses
import functools
import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tokenizers


_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """Text to token ids and back; never changed, so threads can share it."""

    backend: 'tokenizers.Tokenizer'  # without truncation or padding
    eos_id: int  # ends every target
    pad_id: int  # fills rows; eos_id where the model has none
    bos_id: int | None  # None: the model has none
    adds_bos: bool  # the model's own tokenizer starts every text with bos_id
    eos_ids: tuple[int, ...]  # eos_id first, then all else that ends a text
    mask_id: int | None = None  # where a masked model predicts; None: no such

    @classmethod
    def from_folder(cls, folder: str | Path) -> 'Tokenizer':
        """The tokenizer of a Hugging Face checkpoint folder.

        Each special token is the one of tokenizer_config.json, else of
        generation_config.json, else of config.json; those that the second
        (else the third) file adds for eos end a text as well. Raises
        ValueError where there is no tokenizer or no end-of-text token, or
        where a special token is not in the vocabulary.
        """
        folder = Path(folder)
        backend = _backend(folder)
        backend.no_truncation()
        backend.no_padding()
        find = functools.partial(_special_ids, folder, backend)
        eos_ids, bos_ids, pad_ids = find('eos'), find('bos'), find('pad')
        mask_ids = find('mask')
        if not eos_ids:
            raise ValueError(
                f'{folder}: no end-of-text token; add "eos_token" to '
                'tokenizer_config.json.'
            )
        if not pad_ids:
            _LOG.info(
                '%s names no padding token: padding with the end-of-text '
                'token %d.',
                folder,
                eos_ids[0],
            )
        bos_id = bos_ids[0] if bos_ids else None
        return cls(
            backend=backend,
            eos_id=eos_ids[0],
            pad_id=(pad_ids or eos_ids)[0],
            bos_id=bos_id,
            adds_bos=_adds_bos(folder, backend, bos_id),
            eos_ids=tuple(eos_ids),
            mask_id=mask_ids[0] if mask_ids else None,
        )

    @functools.cached_property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def mask_token(self) -> str:
        """The text of mask_id; '' where there is none."""
        if self.mask_id is None:
            return ''
        return self.backend.id_to_token(self.mask_id) or ''

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 of the serialised tokenizer and the special ids."""
        ids: tuple = (self.eos_ids, self.pad_id, self.bos_id, self.adds_bos)
        if self.mask_id is not None:
            ids = (*ids, self.mask_id)
        text = self.backend.to_str() + repr(ids)
        return hashlib.sha256(text.encode()).hexdigest()

    def encode_batch(self, texts: list[str], bos: bool) -> list[list[int]]:
        """Token ids of each text, without an end-of-text token.

        With `bos`, texts start with bos_id if the model's own tokenizer puts
        it there. A special token spelled out in a text becomes that token.
        """
        start: list[int] = []
        if bos and self.adds_bos and self.bos_id is not None:
            start = [self.bos_id]
        encoded = self.backend.encode_batch(texts, add_special_tokens=False)
        return [start + encoding.ids for encoding in encoded]

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


def _backend(folder: Path) -> 'tokenizers.Tokenizer':
    if (folder / 'tokenizer.json').exists():
        import tokenizers  # here, as the rest of the file costs nothing

        return tokenizers.Tokenizer.from_file(str(folder / 'tokenizer.json'))
    if not (folder / 'tokenizer.model').exists():
        raise ValueError(
            f'{folder} has neither tokenizer.json nor tokenizer.model; give '
            'the folder of a complete Hugging Face checkpoint.'
        )
    import transformers

    try:
        slow = transformers.AutoTokenizer.from_pretrained(folder)
    except (ImportError, ValueError) as error:  # it tries tiktoken last
        raise ValueError(
            f'{folder} has no tokenizer.json, and its tokenizer.model could '
            f'not be read ({error}); pip install sentencepiece protobuf'
        ) from error
    return slow.backend_tokenizer


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    return json.loads(path.read_text('utf-8')) if path.exists() else {}


def _special_ids(
    folder: Path, backend: 'tokenizers.Tokenizer', kind: str
) -> list[int]:
    """All ids named for 'eos', 'bos', 'pad' or 'mask', trusted ones first."""
    ids: list[int] = []
    token = _read(folder, 'tokenizer_config.json').get(f'{kind}_token')
    if isinstance(token, dict):  # a serialised AddedToken
        token = token['content']
    if token is not None:
        found = backend.token_to_id(token)
        if found is None:
            raise ValueError(
                f'{folder}/tokenizer_config.json: {kind}_token={token!r} is '
                'not in the vocabulary; correct its spelling.'
            )
        ids.append(found)
    key = f'{kind}_token_id'
    for name in ('generation_config.json', 'config.json'):
        value = _read(folder, name).get(key)
        listed: list[Any] = value if isinstance(value, list) else [value]
        values = [int(i) for i in listed if i is not None and i >= 0]
        # (Some write -1 where there is none.)
        for i in values:
            if backend.id_to_token(i) is None:
                raise ValueError(
                    f'{folder}/{name}: {key}={i} is not in the vocabulary; '
                    'give the id that tokenizer.json has for it.'
                )
        ids += values
        if values:  # config.json is often stale where the other one speaks
            break
    return list(dict.fromkeys(ids))


def _adds_bos(
    folder: Path, backend: 'tokenizers.Tokenizer', bos_id: int | None
) -> bool:
    """add_bos_token where it is said, else what the post-processor does."""
    said = _read(folder, 'tokenizer_config.json').get('add_bos_token')
    if said is not None:
        return bool(said) and bos_id is not None
    ids = backend.encode('a', add_special_tokens=True).ids
    return bos_id is not None and ids[:1] == [bos_id]
