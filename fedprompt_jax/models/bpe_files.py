"""Whether vocab.json and merges.txt are whole, which their readers do not ask.

A cut merges.txt is read as fewer merges, hence as another tokenizer.
"""

from pathlib import Path
import re

from fedprompt_jax import intact

# Words that no merge makes: special tokens, and fairseq's padding of the table.
_UNMERGED = re.compile(r'<.*>|\[.*\]|madeupword\d+')


def require_whole(folder: Path) -> None:
    """Raises ValueError where the two files do not belong together."""
    vocabulary = intact.read_json_object(folder / 'vocab.json')
    path = folder / 'merges.txt'
    intact.require_content(path)
    lines = path.read_text('utf-8', errors='replace').splitlines()
    pairs = [line.split(' ') for line in lines if line.strip()]
    made = {''.join(pair) for pair in pairs if not pair[0].startswith('#')}
    odd = [pair for pair in pairs[1:] if len(pair) != 2]
    lacking = [
        word
        for word in vocabulary
        if len(word) > 1 and word not in made and not _UNMERGED.fullmatch(word)
    ]
    if odd or lacking or not made <= vocabulary.keys():
        example = f' (such as {lacking[0]!r})' if lacking else ''
        raise ValueError(
            f'{path} does not belong to {folder / "vocab.json"}: '
            f'{len(lacking)} words{example} come of no merge; copy or download '
            'both again.'
        )
