"""Which ids a model's tokens for start, end, padding and masks have."""

import logging
from pathlib import Path
from typing import Any

from fedprompt_jax.models.tokenizer_files import TokenizerFiles, read_json

_LOG = logging.getLogger(__name__)


class SpecialIds:
    """The special ids of a folder, from all files that name some.

    Attributes:
      folder: of the checkpoint.
      tokens: its tokenizer and special tokens.
      rows: of the embedding table, or None.
    """

    def __init__(self, folder: Path, tokens: TokenizerFiles) -> None:
        self.folder, self.tokens = folder, tokens
        size = read_json(folder / 'config.json').get('vocab_size')
        self.rows = size if isinstance(size, int) else None

    def of(self, kind: str) -> int | None:
        """The id for 'bos', 'pad', 'mask' or 'unk' that the model knows."""
        if self.tokens.special[kind] is not None:
            return self._own(kind)
        listed = self._of_model(kind)
        return next((i for i in listed if self._in_vocabulary(i)), None)

    def ends(self) -> tuple[int, ...]:
        """All ids that end a text, the tokenizer's own first."""
        first, listed = self._own('eos'), self._of_model('eos')
        if first is None:
            self._refuse_misspelt_end()
        known = [i for i in listed if self._in_vocabulary(i)]
        for i in sorted(set(listed) - set(known)):
            _LOG.warning(
                '%s: generation_config.json or config.json has eos_token_id='
                '%d, which is not in the vocabulary; it is ignored.',
                self.folder,
                i,
            )
        ids = dict.fromkeys(known if first is None else [first, *known])
        if not ids:
            raise ValueError(
                f'{self.folder}: no end-of-text token; add "eos_token" to '
                'tokenizer_config.json.'
            )
        return tuple(ids)

    def _refuse_misspelt_end(self) -> None:
        """A default of the tokenizer's class may be absent, a name may not."""
        named = read_json(self.folder / 'tokenizer_config.json')
        if named.get('eos_token') is not None:
            raise ValueError(
                f'{self.folder}/tokenizer_config.json: eos_token='
                f'{self.tokens.special["eos"]!r} is not in the vocabulary; '
                'correct its spelling.'
            )

    def _own(self, kind: str) -> int | None:
        """The id of the tokenizer's special token, if the model knows it."""
        token = self.tokens.special[kind]
        if token is None or token in self.tokens.lacking:
            return None
        i = self.tokens.backend.token_to_id(token)
        return i if i is not None and self._has_row(i) else None

    def _of_model(self, kind: str) -> list[int]:
        """Ids in generation_config.json, else in config.json."""
        key = f'{kind}_token_id'
        for name in ('generation_config.json', 'config.json'):
            value: Any = read_json(self.folder / name).get(key)
            listed = value if isinstance(value, list) else [value]
            # (Some write -1 where there is none.)
            ids = [i for i in listed if type(i) is int and i >= 0]
            if ids:  # config.json is often stale where the other one speaks
                return ids
        return []

    def _has_row(self, i: int) -> bool:
        return self.rows is None or i < self.rows

    def _in_vocabulary(self, i: int) -> bool:
        known = self.tokens.backend.id_to_token(i)
        lacking = known is None or known in self.tokens.lacking
        return self._has_row(i) and not lacking
