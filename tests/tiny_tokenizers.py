"""Tiny tokenizers of every kind, trained on a few words, in HF's layout."""

from collections.abc import Callable
import functools
import json
from pathlib import Path

import tokenizers
from tokenizers import (
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny

# As Llama 3's tokenizer.json has it.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r'| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'
)
_TEXT = (
    tiny.TEXT
    + ('Is it?\nIt is.\nWhy?\nSo. \nNo. \nIs it?\n\nWhy?\n\n yes no Answer: ')
    * 3
)
_SPECIAL = ['<unk>', '<s>', '</s>']


def byte_level(folder: Path) -> None:
    """GPT-2's kind, digits apart: that of all tiny checkpoints."""
    del folder


def byte_level_bos(folder: Path) -> None:
    """The same, every text beginning with a token."""
    tiny.add_bos(folder)


def llama3(folder: Path) -> None:
    """Byte-level BPE in which '?' and a line break are one piece."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LLAMA3), 'isolated'),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        special_tokens=['<|endoftext|>', tiny.BOS, tiny.EOS, tiny.PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([_TEXT], trainer)
    tokenizer.save(str(folder / 'tokenizer.json'))


def llama2(folder: Path) -> None:
    """SentencePiece BPE that puts a space mark before every text."""
    spaces = [normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')]
    _sentencepiece_bpe(folder, normalizers.Sequence(spaces), strip=True)


def gemma(folder: Path) -> None:
    """SentencePiece BPE without that mark."""
    _sentencepiece_bpe(folder, normalizers.Replace(' ', '▁'), strip=False)


def _sentencepiece_bpe(folder: Path, normalizer, strip: bool) -> None:
    tokenizer = tokenizers.Tokenizer(
        models.BPE(byte_fallback=True, unk_token='<unk>', fuse_unk=True)
    )
    tokenizer.normalizer = normalizer
    pieces = [f'<0x{i:02X}>' for i in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=420, show_progress=False, special_tokens=_SPECIAL + pieces
    )
    words = _TEXT.split(' ')
    words = words if strip else [f' {word}' for word in words]
    tokenizer.train_from_iterator(words, trainer)
    steps = [decoders.Replace('▁', ' '), decoders.ByteFallback()]
    steps += [decoders.Fuse()] + [decoders.Strip(' ', 1, 0)] * strip
    tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.post_processor = processors.TemplateProcessing(
        single='<s> $A', special_tokens=[('<s>', 1)]
    )
    raw = json.loads(tokenizer.to_str())  # bytes are pieces, not special
    raw['added_tokens'] = raw['added_tokens'][:3]
    (folder / 'tokenizer.json').write_text(json.dumps(raw))
    _name_special(folder)


def t5(folder: Path) -> None:
    """A unigram tokenizer, every text ending with a token."""
    tokenizer = tokenizers.SentencePieceUnigramTokenizer()
    tokenizer.train_from_iterator(
        [_TEXT],
        vocab_size=120,
        special_tokens=['<pad>', '</s>', '<unk>'],
        unk_token='<unk>',
        show_progress=False,
    )
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single='$A </s>', special_tokens=[('</s>', 1)]
    )
    tokenizer.save(str(folder / 'tokenizer.json'))
    _name_special(folder, pad_token='<pad>')


def roberta(folder: Path, *, named: bool = True) -> None:
    """Byte-level BPE with <s>, </s> and a mask that swallows a space.

    `named`: tokenizer_config.json names them; on the hub it does not.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token='<unk>'))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ['<s>', '<pad>', '</s>', '<unk>', '<mask>']
    trainer = trainers.BpeTrainer(
        vocab_size=tiny.VOCAB_SIZE,
        show_progress=False,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([_TEXT], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ('</s>', 2), ('<s>', 0), trim_offsets=True, add_prefix_space=False
    )
    mask = tokenizers.AddedToken('<mask>', lstrip=True, special=True)
    tokenizer.add_special_tokens([mask])
    tokenizer.save(str(folder / 'tokenizer.json'))
    if named:
        _name_special(folder, pad_token='<pad>', mask_token='<mask>')
        return
    (folder / 'generation_config.json').unlink()
    tiny.write_json(folder / 'tokenizer_config.json', {'model_max_length': 512})


def _name_special(folder: Path, **more: str) -> None:
    names = {'bos_token': '<s>', 'eos_token': '</s>', 'unk_token': '<unk>'}
    if more.get('pad_token') and not more.get('mask_token'):
        del names['bos_token']  # T5 has none
    kind = {'tokenizer_class': 'PreTrainedTokenizerFast'}
    tiny.write_json(folder / 'tokenizer_config.json', kind | names | more)
    (folder / 'generation_config.json').unlink(missing_ok=True)
    ids = {f'{k}_token_id': None for k in ('bos', 'eos', 'pad')}
    tiny.edit_json(folder / 'config.json', **ids)


KINDS: dict[str, Callable[[Path], None]] = {
    f.__name__: f
    for f in (byte_level, byte_level_bos, llama3, llama2, gemma, t5, roberta)
}
OBJECTIVES = {'t5': 'seq2seq_lm', 'roberta': 'masked_lm'}


def make(folder: Path, kind: str) -> Path:
    """A tiny checkpoint with a tokenizer of KINDS; returns `folder`."""
    tiny.make_checkpoint(folder)
    KINDS[kind](folder)
    return folder


def pairs(new_folder: Callable[[str], Path]) -> Callable:
    """kind -> (our tokenizer, that of transformers), each made once."""
    import transformers

    @functools.cache
    def get(kind: str):
        folder = make(new_folder(kind), kind)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        return Tokenizer.from_folder(folder), theirs

    return get
