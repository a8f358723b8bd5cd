"""The runs and slices that compile.py compiles for.

Nothing here reads a flag, so that tests can call it.
"""

from typing import Any, NamedTuple

ROBERTA_LARGE = {
    'model_type': 'roberta',
    'vocab_size': 50265,
    'hidden_size': 1024,
    'intermediate_size': 4096,
    'num_hidden_layers': 24,
    'num_attention_heads': 16,
    'max_position_embeddings': 514,
    'type_vocab_size': 1,
    'layer_norm_eps': 1e-5,
    'hidden_act': 'gelu',
    'tie_word_embeddings': True,
}
T5_LARGE = {
    'model_type': 't5',
    'vocab_size': 32128,
    'd_model': 1024,
    'd_kv': 64,
    'd_ff': 2816,
    'num_layers': 24,
    'num_decoder_layers': 24,
    'num_heads': 16,
    'relative_attention_num_buckets': 32,
    'relative_attention_max_distance': 128,
    'feed_forward_proj': 'gated-gelu',
    'layer_norm_epsilon': 1e-6,
    'is_encoder_decoder': True,
    'tie_word_embeddings': False,
    'decoder_start_token_id': 0,
    'pad_token_id': 0,
}
MODELS = {'encoder': ROBERTA_LARGE, 't5': T5_LARGE}
KINDS = ('prompt', 'prefix', 'lora')
# Of a model that reads at most 512 tokens, and no more memory than it needs.
SHORT = {'data.max_query': 400, 'model.dtype': 'bfloat16', 'model.remat': True}


class Point(NamedTuple):
    """A run on a slice.

    Attributes:
      name: config or model, kind, slice.
      scale: of configs/fedavg_adam.py.
      chip: see planning/topology.py, as is slice_.
      slice_: its form.
      changes: of the config.
      model: a key of MODELS; '' for the config's own.
    """

    name: str
    scale: str
    chip: str
    slice_: str
    changes: dict[str, Any]
    model: str = ''


def points() -> list[Point]:
    """All points, the small ones first."""
    found = []
    for kind in KINDS:
        of_kind = {'peft': kind}
        found += [
            Point(f'quickstart {kind} 1', 'quickstart', 'v5p', '1', of_kind),
            *(
                Point(
                    f'{name} {kind} 1', 'sni', 'v5p', '1', of_kind | SHORT, name
                )
                for name in MODELS
            ),
            Point(
                f'sni {kind} 2x2',
                'sni',
                'v5e',
                '2x2',
                of_kind | {'mesh.data': 4, 'model.remat': True},
            ),
            Point(f'paper {kind} 4x4x4', 'paper', 'v5p', '4x4x4', of_kind),
        ]
    rows_alone = {'mesh.data': 64, 'mesh.model': 1}
    for name, fsdp in (('data', False), ('fsdp', True)):
        changes = rows_alone | {'mesh.fsdp': fsdp}
        found.append(
            Point(
                f'paper prompt 4x4x4 {name}', 'paper', 'v5p', '4x4x4', changes
            )
        )
    return found
