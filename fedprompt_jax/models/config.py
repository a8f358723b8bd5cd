"""What a language model is made of, family by family.

A family's file turns Hugging Face's config.json into one of these; the
model reads nothing else. Everything is hashable: jit keeps it static.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Rotary:
    """Rotary position embeddings (Su et al. 2021).

    Attributes:
      theta: base of the wavelengths.
      fraction: share of a head's dimensions, its first ones, that turn.
      factor: all wavelengths are this much longer ("linear" scaling).
      llama3: (factor, low, high, original positions) of Llama 3.1: only the
        wavelengths beyond original / low are longer, with a ramp up to them.
    """

    theta: float
    fraction: float = 1.0
    factor: float = 1.0
    llama3: tuple[float, float, float, float] | None = None


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes and parts of a model; the defaults make a Llama.

    It is a causal language model (GPT), a masked one (RoBERTa: `causal` is
    false), or a sequence-to-sequence one (T5: it has an `encoder`).

    Attributes:
      vocab_size: V, rows of the embedding table.
      width: D, size of a hidden state.
      num_layers: blocks.
      num_heads: query heads.
      num_kv_heads: key and value heads, each shared by a group of queries.
      head_dim: h; num_heads * head_dim may differ from D.
      mlp_width: F, hidden size of the MLP.
      norm_eps: added to the variance inside a norm.
      tied_embeddings: the output projection is the embedding table.
      max_positions: longest sequence the model was trained for.
      rotary: rotary embeddings, or None where positions are learned.
      local_rotary: those of local layers, where they differ.
      position_rows: rows of the table of learned positions; 0 for none.
      position_offset: the row of position 0.
      embedding_width: of the embedding table where it is not D (0: it is);
        projections lead in and out.
      embedding_scale: token embeddings are multiplied by it.
      norm: 'rms', 'rms_plus_one' (the scale is stored less one) or 'layer'.
      layout: of a block: 'pre' (norms before attention and MLP), 'post'
        (after each sum), 'sandwich' (before and after each part), or
        'parallel' (attention and MLP both read the block's input).
      final_norm: whether the last hidden states are normalised.
      fused: how query, key and value lie in one kernel: '' for three kernels,
        'parts' for [3, heads, h], 'heads' for [heads, 3, h].
      attention_bias: of query, key and value, in cross-attention too.
      output_bias: of the attention's output projection.
      head_norm: RMS norm of each query and key head.
      query_scale: of the scores; 0 stands for h ** -0.5.
      score_cap: scores become cap * tanh(score / cap); 0 for none.
      logit_cap: logits likewise.
      window: a local layer reads keys less than this many positions back.
      local_layers: which layers are local; () for none.
      gated: down(act(gate x) * up x), else down(act(up x)).
      activation: 'silu', 'relu', 'gelu' or 'gelu_tanh'.
      mlp_bias: of the MLP's projections.
      causal: a token reads no later one.
      encoder: of a sequence-to-sequence model, whose layers read its output;
        the other fields are the decoder's.
      start_token: the decoder's first, where there is an encoder.
      relative_buckets: rows of T5's table of relative positions, whose
        entries are added to scores; 0 for none.
      relative_distance: the distance from which all are one bucket.
      token_types: rows of a table whose first is added to embeddings; 0: none.
      embedding_norm: embeddings are normalised.
      head_transform: a projection, GELU and norm before the logits.
      head_bias: of the logits.
      head_scale: hidden states are multiplied by it before the logits.
      cell: layers that are stored and repeated through num_layers, which is
        a multiple of it; 0: all are stored.
    """

    vocab_size: int
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    mlp_width: int
    norm_eps: float
    tied_embeddings: bool
    max_positions: int
    rotary: Rotary | None = None
    local_rotary: Rotary | None = None
    position_rows: int = 0
    position_offset: int = 0
    embedding_width: int = 0
    embedding_scale: float = 1.0
    norm: str = 'rms'
    layout: str = 'pre'
    final_norm: bool = True
    fused: str = ''
    attention_bias: bool = False
    output_bias: bool = False
    head_norm: bool = False
    query_scale: float = 0.0
    score_cap: float = 0.0
    logit_cap: float = 0.0
    window: int = 0
    local_layers: tuple[bool, ...] = ()
    gated: bool = True
    activation: str = 'silu'
    mlp_bias: bool = False
    causal: bool = True
    encoder: 'ModelConfig | None' = None
    start_token: int = 0
    relative_buckets: int = 0
    relative_distance: int = 128
    token_types: int = 0
    embedding_norm: bool = False
    head_transform: bool = False
    head_bias: bool = False
    head_scale: float = 1.0
    cell: int = 0

    def __post_init__(self):
        if self.cell and self.num_layers % self.cell:
            raise ValueError(
                f'num_layers={self.num_layers} is no multiple of '
                f'cell={self.cell}, the layers that are repeated.'
            )
        if self.encoder is not None and self.layout != 'pre':
            raise ValueError(
                f'layout={self.layout!r} has no place for cross-attention.'
            )

    @property
    def repeats(self) -> int:
        """How many times a token passes each layer that is stored."""
        return self.num_layers // self.cell if self.cell else 1

    @property
    def objective(self) -> str:
        """'causal_lm', 'masked_lm' or 'seq2seq_lm'."""
        if self.encoder is not None:
            return 'seq2seq_lm'
        return 'causal_lm' if self.causal else 'masked_lm'

    @property
    def reader(self) -> 'ModelConfig':
        """The layers that read the query: the encoder's if there is one."""
        return self.encoder or self
