"""Whether a SentencePiece model is whole, which its readers do not ask.

It is a protobuf message: its pieces (field 1, one after the other), and then
the settings of trainer (2) and normalizer (3), without which a cut file would
be read as a smaller vocabulary.
"""

from pathlib import Path

from fedprompt_jax import intact

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_BYTES = 2  # a field of so many bytes


def require_whole(path: Path) -> None:
    """Raises ValueError where a tokenizer.model is cut or something else.

    A file of another kind, such as tiktoken's lines of text, is let through.
    """
    intact.require_content(path)
    content = path.read_bytes()
    if content[0] != _PIECES << 3 | _BYTES:
        return
    if not {_TRAINER, _NORMALIZER} <= _fields(content):
        raise ValueError(
            f'{path} is not a whole SentencePiece model; copy or download it '
            'again.'
        )


def _fields(content: bytes) -> set[int]:
    """Fields of a message; none where it ends within one."""
    fields: set[int] = set()
    place = 0
    try:
        while place < len(content):
            key, place = _varint(content, place)
            length, place = _varint(content, place)
            place += length
            fields.add(key >> 3)
            if key & 7 != _BYTES or place > len(content):
                return set()
    except IndexError:  # it ends within a number
        return set()
    return fields


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number at a place, seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
