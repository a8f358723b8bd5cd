"""The shape of a decoder-only language model: its sizes and its leaves."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """Sizes of a Llama-shaped decoder; hashable, so it can be a jit static."""

    vocab_size: int  # V, rows of the embedding table
    width: int  # D, size of a hidden state
    num_layers: int  # decoder blocks
    num_heads: int  # query heads
    num_kv_heads: int  # key and value heads, each shared by a query group
    head_dim: int  # size of one head; num_heads * head_dim may differ from D
    mlp_width: int  # F, hidden size of the gated MLP
    rope_theta: float  # base of the rotary wavelengths
    norm_eps: float  # added to the mean square inside RMSNorm
    tied_embeddings: bool  # the output projection is the embedding table
    max_positions: int  # longest sequence the model was trained for


def param_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter leaf, keyed by its path joined with '/'.

    Kernels are (in, out); leaves of `layers` have a leading layer axis.
    """
    width, layers, mlp = config.width, config.num_layers, config.mlp_width
    query = config.num_heads * config.head_dim
    key = config.num_kv_heads * config.head_dim
    shapes = {
        'embed/embedding': (config.vocab_size, width),
        'layers/attention_norm/scale': (layers, width),
        'layers/attention/query/kernel': (layers, width, query),
        'layers/attention/key/kernel': (layers, width, key),
        'layers/attention/value/kernel': (layers, width, key),
        'layers/attention/output/kernel': (layers, query, width),
        'layers/mlp_norm/scale': (layers, width),
        'layers/mlp/gate/kernel': (layers, width, mlp),
        'layers/mlp/up/kernel': (layers, width, mlp),
        'layers/mlp/down/kernel': (layers, mlp, width),
        'final_norm/scale': (width,),
    }
    if not config.tied_embeddings:
        shapes['head/kernel'] = (width, config.vocab_size)
    return shapes


def num_params(config: DecoderConfig) -> int:
    """Number of parameters of the whole model; a tied table counts once."""
    return sum(math.prod(shape) for shape in param_shapes(config).values())


def block_params(config: DecoderConfig) -> int:
    """Number of parameters every token passes: the layers, nothing else.

    A forward pass costs 2 * block_params FLOPs a token before attention
    scores; the vocabulary product comes on top, for target tokens only.
    """
    shapes = param_shapes(config).items()
    return sum(math.prod(s) for path, s in shapes if path.startswith('layers/'))
