"""Unigram vocabularies, which have special tokens among their pieces."""

from collections.abc import Collection
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers


def without_pieces(
    backend: 'tokenizers.Tokenizer', ids: Collection[int]
) -> 'tokenizers.Tokenizer':
    """A tokenizer that reads all text as `backend`, but finds no such piece.

    Args:
      backend: of any kind; one that is not Unigram is returned as it is.
      ids: of special tokens.
    """
    content = json.loads(backend.to_str())
    if content['model']['type'] != 'Unigram':
        return backend
    import tokenizers

    vocabulary = content['model']['vocab']
    for i in ids:
        if i < len(vocabulary):  # renamed to what no text spells
            vocabulary[i][0] = f'\0{i}\0'
    content['added_tokens'] = [
        token for token in content['added_tokens'] if not token['special']
    ]
    content['post_processor'] = None
    changed = tokenizers.Tokenizer.from_str(json.dumps(content))
    changed.encode_special_tokens = True
    return changed
