"""Mistakes in what a model computes."""

from tests.mutants.mutation import Mutation

_ATTENTION = 'fedprompt_jax/models/attention.py'
_LAYERS = 'fedprompt_jax/models/layers.py'
_LINEAR = 'fedprompt_jax/models/linear.py'
_STACK = 'fedprompt_jax/models/stack.py'
_ROTARY = 'fedprompt_jax/models/rotary.py'
_RELATIVE = 'fedprompt_jax/models/relative.py'
_QUANTIZATION = 'fedprompt_jax/models/quantization.py'
_TRANSFORMER = 'fedprompt_jax/models/transformer.py'
_TOKEN_LOSS = 'fedprompt_jax/models/token_loss.py'
_SIZES = 'fedprompt_jax/models/sizes.py'
_SOURCE = 'fedprompt_jax/models/source.py'
_HF_CONFIG = 'fedprompt_jax/models/hf_config.py'
_FAMILIES = 'fedprompt_jax/models/families/'

MUTATIONS = (
    # Attention
    Mutation(
        'prefix-slot-one-too-many',
        _ATTENTION,
        'return without(mask, slot >= length)',
        'return without(mask, slot > length)',
        'Layers with a shorter prefix read one row that is not trained.',
        (
            'tests/attention_test.py::'
            'test_slots_that_a_layer_lacks_are_not_read',
        ),
    ),
    Mutation(
        'prefix-slots-of-the-past-forgotten',
        _ATTENTION,
        'slot = jnp.concatenate([past_slot, slot], axis=1)',
        'slot = jnp.concatenate([slot, past_slot], axis=1)',
        'Texts are generated behind rows that are not trained.',
        (
            'tests/attention_test.py::'
            'test_slots_that_a_layer_lacks_are_not_read',
        ),
    ),
    Mutation(
        'prefix-keys-are-turned',
        _ATTENTION,
        """        if turn is not None:
            q, k = rotary_lib.rotate(q, turn), rotary_lib.rotate(k, turn)
        new_kv = self._with_prefix(k, v, places)
""",
        """        new_kv = k, v = self._with_prefix(k, v, places)
        if turn is not None:
            q, k = rotary_lib.rotate(q, turn), rotary_lib.rotate(k, turn)
            new_kv = k, v
""",
        'A prefix of PEFT means another model here.',
        (
            'tests/adapters_test.py::'
            'test_the_loss_behind_an_adapter_of_peft_is_pytorch_s',
        ),
    ),
    Mutation(
        'prefix-of-the-first-owner',
        _ATTENTION,
        "take(self.get_variable('peft', name), owner, slot)",
        "take(self.get_variable('peft', name), 0 * owner, slot)",
        'All clients train and read the prefix of the first one.',
        (
            'tests/peft_test.py::'
            'test_packed_is_vmapped_is_plain[gemma3: prefix]',
        ),
    ),
    Mutation(
        'query-scale-ignored',
        _ATTENTION,
        """        scale = c.query_scale or c.head_dim**-0.5
        if isinstance(mask, Reads)""",
        """        scale = c.head_dim**-0.5
        if isinstance(mask, Reads)""",
        'Gemma 2 and T5 are other models.',
        ('tests/models_test.py::test_logits[gemma2]',),
    ),
    Mutation(
        'query-scale-ignored-across-stacks',
        _ATTENTION,
        """project(c, 'value', *text)
        scale = c.query_scale or c.head_dim**-0.5
""",
        """project(c, 'value', *text)
        scale = c.head_dim**-0.5
""",
        'T5 is another model.',
        ('tests/models_test.py::test_logits[t5]',),
    ),
    Mutation(
        'head-norms-swapped',
        _ATTENTION,
        """            q = RMSNorm(c.norm_eps, plus, name='query_norm')(q)
            k = RMSNorm(c.norm_eps, plus, name='key_norm')(k)
""",
        """            q = RMSNorm(c.norm_eps, plus, name='key_norm')(q)
            k = RMSNorm(c.norm_eps, plus, name='query_norm')(k)
""",
        'Qwen 3 and Gemma 3 are other models.',
        ('tests/models_test.py::test_logits[qwen3]',),
    ),
    Mutation(
        'head-norms-without-one',
        _ATTENTION,
        "plus = 1.0 if c.norm == 'rms_plus_one' else 0.0",
        'plus = 0.0',
        'Gemma 3 is another model.',
        ('tests/models_test.py::test_logits[gemma3]',),
    ),
    Mutation(
        'fused-heads-and-parts-swapped',
        _ATTENTION,
        "axis = 2 if c.fused == 'parts' else 3",
        "axis = 3 if c.fused == 'parts' else 2",
        'GPT-2 and Pythia mix queries, keys and values.',
        ('tests/models_test.py::test_logits[gpt2]',),
    ),
    Mutation(
        'query-heads-grouped-by-turns',
        _ATTENTION,
        'length, kv_heads, num_heads // kv_heads, head_dim)',
        """length, num_heads // kv_heads, kv_heads, head_dim)
    q = q.swapaxes(2, 3)""",
        'Models with grouped queries read the keys of other heads.',
        ('tests/attention_test.py::test_attention_is_its_definition',),
    ),
    Mutation(
        'bias-before-the-cap',
        _ATTENTION,
        """    score = soft_cap(jnp.concatenate(scores, axis=-1) * scale, cap)
""",
        """    score = soft_cap(jnp.concatenate(scores, axis=-1), cap) * scale
""",
        'Scores of Gemma 2 are capped at another height.',
        ('tests/attention_test.py::test_attention_is_its_definition',),
    ),
    Mutation(
        'scores-of-bf16',
        _ATTENTION,
        "scores = [f32('rlkgh,rskh->rkgls', q, k) for k, _ in read]",
        "scores = [jnp.einsum('rlkgh,rskh->rkgls', q, k) for k, _ in read]",
        'Probabilities of a model in bf16 are off by several per cent.',
        ('tests/attention_test.py::test_scores_of_bf16_are_not_rounded',),
    ),
    Mutation(
        'masked-scores-minus-infinity',
        _ATTENTION,
        'score = jnp.where(mask[:, None, None], score, -1e30)',
        'score = jnp.where(mask[:, None, None], score, -jnp.inf)',
        'Padding is NaN, and so is every gradient of its row.',
        ('tests/attention_test.py::test_a_token_that_reads_nothing_is_no_nan',),
    ),
    Mutation(
        'values-of-each-part-rounded',
        _ATTENTION,
        'jnp.einsum if len(read) == 1 else f32',
        'jnp.einsum',
        'Texts generated in bf16 follow sums that are rounded twice.',
        ('tests/attention_test.py::test_sums_over_parts_are_rounded_once',),
    ),
    Mutation(
        'values-of-the-first-part-alone',
        _ATTENTION,
        'out = functools.reduce(jnp.add, outs)',
        'out = outs[-1]',
        'What stands in the cache is not read.',
        ('tests/attention_test.py::test_attention_is_its_definition',),
    ),
    # Sizes and parts of a model
    Mutation(
        'masked-models-are-causal',
        'fedprompt_jax/models/config.py',
        "return 'causal_lm' if self.causal else 'masked_lm'",
        "return 'causal_lm'",
        'RoBERTa is trained to predict the next token.',
        ('tests/models_test.py::test_logits[roberta]',),
    ),
    Mutation(
        'the-decoder-reads-the-query',
        'fedprompt_jax/models/config.py',
        'return self.encoder or self',
        'return self',
        'A prefix of T5 has the layers of the decoder.',
        ('tests/counts_test.py::test_a_prefix_of_t5_is_of_its_encoder',),
    ),
    # Norms and MLP
    Mutation(
        'rms-without-epsilon',
        _LAYERS,
        """        y = x.astype(jnp.float32)
        y *= jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
        return""",
        """        y = x.astype(jnp.float32)
        y *= jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True))
        return""",
        'Small hidden states are normalised to others.',
        ('tests/layers_test.py::test_rms_norm_is_its_formula',),
    ),
    Mutation(
        'rms-one-not-added',
        _LAYERS,
        "plus = {'rms': 0.0, 'rms_plus_one': 1.0}[config.norm]",
        'plus = 0.0',
        'Every Gemma is another model.',
        ('tests/layers_test.py::test_rms_norm_is_its_formula',),
    ),
    Mutation(
        'rms-of-bf16',
        _LAYERS,
        'return (y * (scale.astype(jnp.float32) + self.plus)).astype(x.dtype)',
        'return y.astype(x.dtype) * (scale + self.plus).astype(x.dtype)',
        'A model in bf16 is rounded twice in each norm.',
        ('tests/precision_test.py::test_a_norm_is_rounded_once',),
    ),
    Mutation(
        'layer-norm-without-its-mean',
        _LAYERS,
        """        y -= jnp.mean(y, -1, keepdims=True)
""",
        '',
        'GPT-2, OPT, Pythia and RoBERTa are other models.',
        ('tests/layers_test.py::test_layer_norm_is_its_formula',),
    ),
    Mutation(
        'layer-norm-with-ddof',
        _LAYERS,
        """        y -= jnp.mean(y, -1, keepdims=True)
        y *= jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
""",
        """        y -= jnp.mean(y, -1, keepdims=True)
        y *= jax.lax.rsqrt(jnp.var(y, -1, keepdims=True, ddof=1) + self.epsilon)
""",
        'A norm divides by another deviation.',
        ('tests/layers_test.py::test_layer_norm_is_its_formula',),
    ),
    Mutation(
        'gelu-is-the-tanh-form',
        _LAYERS,
        "'gelu': lambda x: nn.gelu(x, approximate=False),",
        "'gelu': lambda x: nn.gelu(x, approximate=True),",
        'Pythia and RoBERTa are off in the fourth digit.',
        ('tests/layers_test.py::test_an_activation_is_its_formula',),
    ),
    Mutation(
        'gate-and-up-swapped',
        _LAYERS,
        "y = gated(dense('gate', x), dense('up', x))",
        "y = gated(dense('up', x), dense('gate', x))",
        'Llama and its relatives are other models.',
        ('tests/layers_test.py::test_an_mlp_is_its_formula',),
    ),
    Mutation(
        'cap-without-its-height',
        _LAYERS,
        'return cap * jnp.tanh(x / cap) if cap else x',
        'return jnp.tanh(x / cap) if cap else x',
        'Logits of Gemma 2 lie within one.',
        ('tests/layers_test.py::test_a_cap_bends_and_no_cap_does_nothing',),
    ),
    Mutation(
        'nothing-is-recomputed',
        _LAYERS,
        'return lambda *args: call(*checkpoint_name(args, name))',
        'return function',
        'A step keeps more activations than the plan says.',
        (
            'tests/plan_test.py::'
            'test_what_the_backward_pass_keeps_is_what_xla_allocates',
        ),
    ),
    # Linear layers
    Mutation(
        'lora-of-the-row-s-least-owner',
        _LINEAR,
        'row = owner.max(axis=1, initial=0)',
        'row = owner[:, 0]',
        'A row that begins with padding trains the first client.',
        (
            'tests/layers_test.py::'
            'test_lora_adds_the_product_of_the_row_s_owner',
        ),
    ),
    Mutation(
        'ia3-before-the-bias',
        _LINEAR,
        """        if self.use_bias:
            zeros = nn.initializers.zeros
            y = y + self.param('bias', zeros, (self.features,))
""",
        """        if 'ia3_out' in trained:
            y = y * trained.pop('ia3_out')[owner]
        if self.use_bias:
            zeros = nn.initializers.zeros
            y = y + self.param('bias', zeros, (self.features,))
""",
        "IA3 on layers with biases is not PEFT's.",
        (
            'tests/layers_test.py::'
            'test_ia3_multiplies_by_the_vector_of_each_token_s_owner',
        ),
    ),
    Mutation(
        'ia3-input-ignored',
        _LINEAR,
        "x = x * take(trained['ia3_in'], owner)",
        "x = x * take(trained['ia3_in'], 0 * owner)",
        "Clients read the first one's vector.",
        (
            'tests/layers_test.py::'
            'test_ia3_multiplies_by_the_vector_of_each_token_s_owner',
        ),
    ),
    Mutation(
        'bias-ignored',
        _LINEAR,
        "y = y + self.param('bias', zeros, (self.features,))",
        "self.param('bias', zeros, (self.features,))",
        'Models with biases are other models.',
        ('tests/layers_test.py::test_an_mlp_is_its_formula',),
    ),
    # Rotary and relative positions
    Mutation(
        'llama3-ramp-upside-down',
        _ROTARY,
        'mixed = (1 - smooth) * frequency / factor + smooth * frequency',
        'mixed = smooth * frequency / factor + (1 - smooth) * frequency',
        'Llama 3.1 and later are other models.',
        ('tests/rotary_test.py::test_the_ramp_by_hand',),
    ),
    Mutation(
        'llama3-short-waves-are-slowed',
        _ROTARY,
        'return np.where(wavelength < original / high, frequency, scaled)',
        'return np.where(wavelength < original / low, frequency, scaled)',
        'Llama 3.1 and later have no ramp.',
        ('tests/rotary_test.py::test_the_ramp_by_hand',),
    ),
    Mutation(
        'linear-scaling-shortens-waves',
        _ROTARY,
        'frequency = np.float32(rotary.theta) ** -exponent / rotary.factor',
        'frequency = np.float32(rotary.theta) ** -exponent * rotary.factor',
        'Models with linear scaling read no long text.',
        (
            'tests/rotary_test.py::test_plain_frequencies_are_powers_of_theta_'
            'and_linear_ones_slower',
        ),
    ),
    Mutation(
        'rotary-turns-backwards',
        _ROTARY,
        '[a * cos - b * sin, b * cos + a * sin]',
        '[a * cos + b * sin, b * cos - a * sin]',
        'A cache that another program wrote would not fit.',
        (
            'tests/rotary_test.py::'
            'test_a_rotation_is_a_product_with_a_complex_number',
        ),
    ),
    Mutation(
        'rotary-frequencies-of-the-whole-head',
        _ROTARY,
        """    angle = positions[..., None].astype(jnp.float32) * frequencies(
        turned, rotary
    )
""",
        """    angle = positions[..., None].astype(jnp.float32) * frequencies(
        head_dim, rotary
    )[: turned // 2]
""",
        'Pythia is another model.',
        (
            'tests/rotary_test.py::'
            'test_a_rotation_is_a_product_with_a_complex_number',
        ),
    ),
    Mutation(
        'rotary-in-bf16',
        _ROTARY,
        'head = x.astype(jnp.float32)',
        'head, cos, sin = x, cos.astype(x.dtype), sin.astype(x.dtype)',
        'Far tokens of a model in bf16 stand at other places.',
        ('tests/precision_test.py::test_positions_turn_by_angles_of_f32',),
    ),
    Mutation(
        'distance-0-is-later',
        _RELATIVE,
        'jnp.where(ahead > 0, buckets, 0)',
        'jnp.where(ahead >= 0, buckets, 0)',
        'T5 is another model.',
        ('tests/relative_test.py::test_a_bucket_is_its_definition',),
    ),
    Mutation(
        'earlier-and-later-swapped',
        _RELATIVE,
        'ahead = key[:, None, :] - query[:, :, None]',
        'ahead = query[:, :, None] - key[:, None, :]',
        'T5 reads backwards.',
        ('tests/relative_test.py::test_a_bucket_is_its_definition',),
    ),
    Mutation(
        'one-exact-distance-too-many',
        _RELATIVE,
        'np.where(distance < exact, distance, far)',
        'np.where(distance <= exact, distance, far - 1)',
        'T5 knows long distances by other rows of its table.',
        ('tests/relative_test.py::test_a_bucket_is_its_definition',),
    ),
    Mutation(
        'the-decoder-has-half-the-buckets',
        _RELATIVE,
        """    if not causal:
        buckets //= 2
""",
        """    buckets //= 2
""",
        "T5's decoder is another model.",
        ('tests/relative_test.py::test_a_bucket_is_its_definition',),
    ),
    # int8
    Mutation(
        'int8-truncated',
        _QUANTIZATION,
        'return np.rint(kernel, out=kernel).astype(np.int8), scale',
        'return kernel.astype(np.int8), scale',
        'The error of int8 doubles, and every kernel shrinks.',
        ('tests/quantization_test.py::test_a_channel_s_scale_is_its_own',),
    ),
    Mutation(
        'int8-scale-of-128',
        _QUANTIZATION,
        'scale = largest / np.float32(127)',
        'scale = largest / np.float32(128)',
        'The largest weight of a channel turns its sign.',
        ('tests/quantization_test.py::test_a_channel_s_scale_is_its_own',),
    ),
    Mutation(
        'int8-scale-of-the-positive-weights',
        _QUANTIZATION,
        'largest = np.maximum(kernel.max(axis=0), -kernel.min(axis=0))',
        'largest = kernel.max(axis=0)',
        'Channels whose largest weight is negative overflow.',
        ('tests/quantization_test.py::test_a_channel_s_scale_is_its_own',),
    ),
    Mutation(
        'int8-backward-without-scale',
        _QUANTIZATION,
        'scaled = (gradient * scale).astype(gradient.dtype)',
        'scaled = gradient',
        'Gradients of a model in int8 are thousands of times too large.',
        ('tests/quantization_test.py::test_a_product_in_bf16_is_rounded_once',),
    ),
    Mutation(
        'int8-sums-in-bf16',
        _QUANTIZATION,
        """    y = jnp.matmul(
        x, kernel.astype(x.dtype), preferred_element_type=jnp.float32
    )
""",
        """    y = jnp.matmul(x, kernel.astype(x.dtype))
""",
        'Products of a model in int8 are rounded twice.',
        ('tests/quantization_test.py::test_a_product_in_bf16_is_rounded_once',),
    ),
    Mutation(
        'int8-for-the-decoder-alone',
        _QUANTIZATION,
        "_QUANTIZED = re.compile(r'(.*layers/.*)/kernel')",
        "_QUANTIZED = re.compile(r'(layers/.*)/kernel')",
        "Half of T5 stays as large as it is, against the plan's figure.",
        (
            'tests/quantization_test.py::'
            'test_kernels_of_layers_are_near_their_integers_and_the_rest_is_'
            'itself',
        ),
    ),
    # Blocks and what stands around them
    Mutation(
        'window-one-too-long',
        _STACK,
        'masks.append(mask & (back < c.window))',
        'masks.append(mask & (back <= c.window))',
        'Mistral and Gemma are other models.',
        ('tests/models_test.py::test_logits[mistral]',),
    ),
    Mutation(
        'local-layers-with-global-waves',
        _STACK,
        'kinds.append(c.local_rotary or c.rotary)',
        'kinds.append(c.rotary)',
        'Gemma 3 is another model.',
        ('tests/models_test.py::test_logits[gemma3]',),
    ),
    Mutation(
        'local-and-global-layers-swapped',
        _STACK,
        'return jax.tree.map(lambda x: x[0 if one else local], both)',
        'return jax.tree.map(lambda x: x[0 if one else 1 - local], both)',
        'Gemma 2 and 3 are other models.',
        ('tests/models_test.py::test_logits[gemma2]',),
    ),
    Mutation(
        'positions-of-the-past-forgotten',
        _STACK,
        'keys = jnp.concatenate([past_places.position, positions], axis=1)',
        """keys = jnp.arange(mask.shape[2]) + jnp.zeros(
                (len(positions), 1), int
            )""",
        'Packed and padded rows have windows that start elsewhere.',
        (
            'tests/peft_test.py::'
            'test_generation_is_a_plain_call_for_every_'
            'token[gemma3: prefix, ragged]',
        ),
    ),
    Mutation(
        'position-offset-ignored',
        _STACK,
        'x = x + self.embed_positions(places.position + c.position_offset)',
        'x = x + self.embed_positions(places.position)',
        'OPT and RoBERTa read the rows of other positions.',
        ('tests/models_test.py::test_logits[opt]',),
    ),
    Mutation(
        'token-types-forgotten',
        _STACK,
        'x = x + self.embed_types.embedding[0].astype(x.dtype)',
        'x = x + 0 * self.embed_types.embedding[0].astype(x.dtype)',
        'RoBERTa is another model.',
        ('tests/models_test.py::test_logits[roberta]',),
    ),
    Mutation(
        'embedding-norm-forgotten',
        _STACK,
        'x = self.embedding_norm(x)',
        'self.embedding_norm(x)',
        'RoBERTa is another model.',
        ('tests/models_test.py::test_logits[roberta]',),
    ),
    Mutation(
        'final-norm-forgotten',
        _STACK,
        """        if c.final_norm:
            x = self.final_norm(x)
""",
        """        if c.final_norm:
            self.final_norm(x)
""",
        'Every model with a final norm is another one.',
        ('tests/models_test.py::test_logits[tiny_tied]',),
    ),
    Mutation(
        'parallel-mlp-reads-the-sum',
        _STACK,
        """            x = x + y + mlp(x)
""",
        """            x = x + y
            x = x + mlp(x)
""",
        'Pythia is another model.',
        ('tests/models_test.py::test_logits[pythia]',),
    ),
    Mutation(
        'post-norm-without-the-sum',
        _STACK,
        "x = norm('mlp_norm', x + mlp(x))",
        "x = x + norm('mlp_norm', mlp(x))",
        'OPT 350M and RoBERTa are other models.',
        ('tests/models_test.py::test_logits[opt_350m]',),
    ),
    Mutation(
        'sandwich-norms-swapped',
        _STACK,
        """            x = x + norm('attention_out_norm', y)
            x = x + norm('mlp_out_norm', mlp(x))
""",
        """            x = x + norm('mlp_out_norm', y)
            x = x + norm('attention_out_norm', mlp(x))
""",
        'Gemma 2 and 3 are other models.',
        ('tests/models_test.py::test_logits[gemma2]',),
    ),
    Mutation(
        'decoder-forgets-what-it-read-across',
        _STACK,
        """context.memory, known)
                x = x + y
""",
        """context.memory, known)
                x = y
""",
        'T5 is another model.',
        ('tests/models_test.py::test_logits[t5]',),
    ),
    Mutation(
        'encoder-with-the-decoder-s-buckets',
        _STACK,
        """                c.relative_distance,
                c.causal,
""",
        """                c.relative_distance,
                True,
""",
        "T5's encoder does not tell later words from its own.",
        ('tests/models_test.py::test_logits[t5]',),
    ),
    Mutation(
        'remat-keeps-everything',
        _STACK,
        'names = () if self.remat else (layers.SAVED,)',
        'names = (layers.SAVED,)',
        'config.model.remat saves no memory.',
        ('tests/simulation_test.py::test_remat_recomputes_and_gives_the_same',),
    ),
    # Vocabulary, head and losses
    Mutation(
        'embeddings-not-scaled',
        _TRANSFORMER,
        'return x * jnp.asarray(self.config.embedding_scale, x.dtype)',
        'return x',
        'Every Gemma is another model.',
        ('tests/models_test.py::test_logits[gemma]',),
    ),
    Mutation(
        'head-with-the-layers-activation',
        _TRANSFORMER,
        "y = ACTIVATIONS['gelu'](self.head_dense(hidden))",
        'y = ACTIVATIONS[c.activation](self.head_dense(hidden))',
        'RoBERTa with another activation is another model.',
        ('tests/models_test.py::test_logits[roberta]',),
    ),
    Mutation(
        'head-scale-forgotten',
        _TRANSFORMER,
        'hidden = hidden * jnp.asarray(c.head_scale, hidden.dtype)',
        'pass',
        'The tied head of T5 is another one.',
        ('tests/models_test.py::test_logits[t5]',),
    ),
    Mutation(
        'head-bias-forgotten',
        _TRANSFORMER,
        'logits = logits + self.head_bias',
        'pass',
        'RoBERTa is another model.',
        ('tests/models_test.py::test_logits[roberta]',),
    ),
    Mutation(
        'logits-not-capped',
        _TRANSFORMER,
        'return layers.soft_cap(logits, c.logit_cap)',
        'return logits',
        'Gemma 2 is another model.',
        ('tests/models_test.py::test_logits[gemma2]',),
    ),
    Mutation(
        'logits-of-bf16',
        _TRANSFORMER,
        """    jax.lax.dot_general, preferred_element_type=jnp.float32
""",
        """    jax.lax.dot_general
""",
        'Greedy texts of a model in bf16 follow ties.',
        ('tests/precision_test.py::test_logits_are_not_rounded',),
    ),
    Mutation(
        'the-encoder-is-causal',
        _TRANSFORMER,
        'self.encode(x, places, _full(tokens, tokens, False)),',
        'self.encode(x, places, _full(tokens, tokens, True)),',
        'T5 is another model.',
        ('tests/models_test.py::test_logits[t5]',),
    ),
    Mutation(
        'the-decoder-reads-ahead',
        _TRANSFORMER,
        '_full(targets, targets, True),',
        '_full(targets, targets, False),',
        'Logits of T5 know what they shall predict.',
        ('tests/models_test.py::test_logits[t5]',),
    ),
    Mutation(
        'chunks-in-another-order',
        _TOKEN_LOSS,
        'return out.swapaxes(0, 1).reshape(rows, -1)[:, :targets]',
        'return out.reshape(rows, -1)[:, :targets]',
        'Losses of large batches are those of other tokens.',
        ('tests/simulation_test.py::test_chunks_of_targets_are_the_whole[9]',),
    ),
    Mutation(
        'loss-without-its-normaliser',
        _TOKEN_LOSS,
        'return jax.nn.logsumexp(logits, axis=-1) - chosen[..., 0]',
        'return logits.max(axis=-1) - chosen[..., 0]',
        'Losses and gradients are those of the likeliest token alone.',
        (
            'tests/simulation_test.py::'
            'test_packed_and_vmapped_are_the_loop_over_clients[token]',
        ),
    ),
    Mutation(
        'losses-of-a-chunk-at-a-time-forgotten',
        _TOKEN_LOSS,
        'columns = max(1, CHUNK // rows)',
        'columns = max(1, CHUNK)',
        'Logits of all rows take several times the memory planned.',
        (
            'tests/simulation_test.py::'
            'test_no_more_logits_at_once_than_a_chunk_or_a_column',
        ),
    ),
    # Numbers of parameters
    Mutation(
        'tied-table-not-a-head',
        _SIZES,
        'return table * config.tied_embeddings + sum(',
        'return table * (not config.tied_embeddings) + sum(',
        'The compute of the head is left out of the plan.',
        (
            'tests/ledger_test.py::'
            'test_a_token_passes_once_forward_and_again_for_each_gradient',
        ),
    ),
    Mutation(
        'cross-attention-is-the-decoder-s-alone',
        _SIZES,
        "return path.startswith('encoder/layers/') or bool(crossed)",
        "return path.startswith('encoder/layers/')",
        "T5's compute a token of the query is too small.",
        ('tests/counts_test.py::test_what_tokens_pass_is_all_there_is',),
    ),
    Mutation(
        'head-transform-not-counted',
        _SIZES,
        "head = ('head/kernel', 'head_dense/kernel')",
        "head = ('head/kernel',)",
        "The compute of RoBERTa's head is left out of the plan.",
        (
            'tests/ledger_test.py::'
            'test_a_prompt_that_reads_the_text_is_counted_for_every_'
            'example',
        ),
    ),
    Mutation(
        'embeddings-counted-for-every-token',
        _SIZES,
        "return path.startswith('layers/')\n",
        'return True\n',
        'The compute of a token holds the whole vocabulary.',
        ('tests/weights_test.py::test_parameter_counts',),
    ),
    Mutation(
        'scales-of-every-input',
        _SIZES,
        """            layers, _, outputs = shape
""",
        """            layers, outputs, _ = shape
""",
        'The plan of a model in int8 is not what is loaded.',
        (
            'tests/quantization_test.py::'
            'test_kernels_of_layers_are_near_their_integers_and_the_rest_is_'
            'itself',
        ),
    ),
    Mutation(
        'embedding-width-forgotten-in-the-head',
        _SIZES,
        'table = config.vocab_size * (config.embedding_width or config.width)',
        'table = config.vocab_size * config.width',
        "The compute of OPT 350M's head is twice too large.",
        (
            'tests/counts_test.py::'
            'test_what_a_target_passes_is_the_table_as_wide_as_it_is',
        ),
    ),
    # From a name in the config to a model
    Mutation(
        'converted-model-found-by-name',
        _SOURCE,
        "f'{name}-{digest.hexdigest()[:8]}'",
        "f'{name}-{_CONVERSION}'",
        'Another file of the same name is the old model.',
        ('tests/gguf_import_test.py::test_a_gguf_file_is_converted_once',),
    ),
    Mutation(
        'conversions-of-all-versions-are-one',
        _SOURCE,
        "hashlib.sha256(f'{content} conversion {_CONVERSION}'.encode())",
        'hashlib.sha256(content.encode())',
        'A fault of the conversion stays in the cache when it is mended.',
        (
            'tests/gguf_import_test.py::'
            'test_another_conversion_makes_another_folder',
        ),
    ),
    Mutation(
        'a-folder-may-be-a-hub-name',
        _SOURCE,
        'return hub.parse(spec) is not None and not Path(spec).exists()',
        'return hub.parse(spec) is not None',
        'A folder given as a/b is downloaded from strangers.',
        ('tests/hub_test.py::test_checking_a_name_asks_nobody',),
    ),
    Mutation(
        'tokenizer-of-another-model-allowed',
        _SOURCE,
        'if tokenizer.vocab_size > config.vocab_size:',
        'if tokenizer.vocab_size < 0:',
        'Tokens beyond the table are read as its last row.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_a_tokenizer_of_another_model_is_refused',
        ),
    ),
    Mutation(
        'sharding-ignored',
        _SOURCE,
        'folder, names, config, dtype, sharding, quantization\n',
        'folder, names, config, dtype, None, quantization\n',
        'Every device holds the whole model.',
        (
            'tests/weights_test.py::'
            'test_a_loaded_model_lies_where_its_sharding_says',
        ),
    ),
    Mutation(
        'quantization-ignored',
        _SOURCE,
        'folder, names, config, dtype, sharding, quantization\n',
        "folder, names, config, dtype, sharding, ''\n",
        'config.model.quantization has no effect.',
        (
            'tests/weights_test.py::'
            'test_a_loaded_model_lies_where_its_sharding_says',
        ),
    ),
    Mutation(
        'a-head-is-assumed',
        _SOURCE,
        "return fields | {'has_head': 'lm_head.weight' in names}",
        "return fields | {'has_head': True}",
        'T5 without a head of its own is refused.',
        ('tests/models_test.py::test_logits[t5]',),
    ),
    Mutation(
        'half-a-conversion-is-taken',
        _SOURCE,
        "if not (folder / 'config.json').exists():\n        from",
        'if not folder.parent.exists():\n        from',
        'A second model in the cache is not there.',
        ('tests/gguf_import_test.py::test_a_gguf_file_is_converted_once',),
    ),
    # config.json
    Mutation(
        'null-is-a-value',
        _HF_CONFIG,
        'return default if value is None else value',
        'return self.fields.get(key, default)',
        'A null of config.json is no default.',
        ('tests/weights_test.py::test_config_defaults_are_those_of_hf',),
    ),
    Mutation(
        'grouped-keys-ignored',
        _HF_CONFIG,
        "groups = self.size('num_key_value_heads', n)",
        'groups = n',
        'Models with grouped queries do not load.',
        ('tests/weights_test.py::test_every_leaf_is_its_tensor',),
    ),
    Mutation(
        'head-dim-is-width-by-heads',
        _HF_CONFIG,
        "return n, groups, self.size('head_dim', max(1, width // n))",
        'return n, groups, max(1, width // n)',
        'Qwen 3 does not load.',
        ('tests/models_test.py::test_logits[qwen3]',),
    ),
    Mutation(
        'rope-theta-of-parameters-ignored',
        _HF_CONFIG,
        "named = [rope.get('rope_theta'), self.get('rope_theta')]",
        "named = [self.get('rope_theta')]",
        'Models of transformers 5 have the waves of 10,000.',
        ('tests/weights_test.py::test_old_and_new_rope_keys_mean_the_same',),
    ),
    Mutation(
        'two-thetas-allowed',
        _HF_CONFIG,
        'if len(set(thetas)) > 1:',
        'if len(set(thetas)) > 2:',
        'One of two bases is taken in silence.',
        ('tests/weights_test.py::test_what_is_not_computed_is_refused',),
    ),
    Mutation(
        'scaling-of-the-old-key-ignored',
        _HF_CONFIG,
        'key, rope if scaling is None else scaling, thetas[0], head_dim,',
        'key, rope, thetas[0], head_dim,',
        'rope_scaling has no effect.',
        ('tests/models_test.py::test_logits[llama_linear]',),
    ),
    Mutation(
        'linear-factor-ignored',
        _HF_CONFIG,
        'return Rotary(float(theta), float(fraction), factor)',
        'return Rotary(float(theta), float(fraction))',
        'A linear scaling has no effect.',
        ('tests/models_test.py::test_logits[llama_linear]',),
    ),
    Mutation(
        'low-and-high-swapped',
        _HF_CONFIG,
        "names = ('factor', 'low_freq_factor', 'high_freq_factor')",
        "names = ('factor', 'high_freq_factor', 'low_freq_factor')",
        'Llama 3.1 and later are other models.',
        ('tests/weights_test.py::test_llama_3_s_scaling_is_read_by_its_names',),
    ),
    Mutation(
        'original-positions-ignored',
        _HF_CONFIG,
        "'original_max_position_embeddings',\n",
        "'max_position_embeddings',\n",
        'Llama 3.1 and later are other models.',
        ('tests/weights_test.py::test_llama_3_s_scaling_is_read_by_its_names',),
    ),
    Mutation(
        'layer-types-inverted',
        _HF_CONFIG,
        "return tuple(kind == 'sliding_attention' for kind in kinds)",
        "return tuple(kind != 'sliding_attention' for kind in kinds)",
        'Layers with and without a window are swapped.',
        ('tests/models_test.py::test_logits[gemma2]',),
    ),
    Mutation(
        'unknown-layers-are-global',
        _HF_CONFIG,
        'or set(kinds) - known:',
        'or not known:',
        'Layers of a kind that is not computed read everything.',
        ('tests/families_test.py::test_layer_types_name_every_layer',),
    ),
    Mutation(
        'too-few-layer-types',
        _HF_CONFIG,
        'if not kinds or len(kinds) != num_layers or',
        'if not kinds or len(kinds) > num_layers or',
        'A model of other layers than its file names ends in a TypeError.',
        ('tests/families_test.py::test_layer_types_name_every_layer',),
    ),
    Mutation(
        'a-factor-of-zero',
        _HF_CONFIG,
        'if isinstance(value, (int, float)) and value > 0:',
        'if isinstance(value, (int, float)):',
        'Waves of a factor of 0 make every number NaN.',
        ('tests/weights_test.py::test_what_is_not_computed_is_refused',),
    ),
    Mutation(
        'partial-factor-of-parameters-ignored',
        _HF_CONFIG,
        'fraction = fraction if part is None else part',
        'del part',
        'Pythia as transformers 5 writes it turns other dimensions.',
        (
            'tests/families_test.py::'
            'test_pythia_s_partial_rotation_has_three_names',
        ),
    ),
    Mutation(
        'odd-dimensions-turn',
        _HF_CONFIG,
        'if turned % 2 or not 0 < fraction <= 1:',
        'if not 0 < fraction <= 1:',
        'A head whose dimensions make no pairs ends in an error of shapes.',
        ('tests/weights_test.py::test_what_is_not_computed_is_refused',),
    ),
    Mutation(
        'a-quantized-checkpoint-is-allowed',
        _HF_CONFIG,
        "        self.only('quantization_config', None)\n",
        '',
        'Packed integers would be read as weights.',
        ('tests/weights_test.py::test_what_is_not_computed_is_refused',),
    ),
    Mutation(
        'an-infinite-number-is-allowed',
        _HF_CONFIG,
        'if not number or not math.isfinite(value):',
        'if not number:',
        'NaN as epsilon makes every number NaN.',
        ('tests/weights_test.py::test_what_is_not_computed_is_refused',),
    ),
    # Families
    Mutation(
        'a-family-s-variants-have-one-map',
        _FAMILIES + '__init__.py',
        'return family.names(fields) if',
        """first = fields | {'model_type': family.MODEL_TYPES[0]}
    return family.names(first) if""",
        "Gemma 2's norms are read into other places.",
        ('tests/models_test.py::test_logits[gemma2]',),
    ),
    Mutation(
        'gemma-reads-both-ways',
        _FAMILIES + 'gemma.py',
        "    hf.only('use_bidirectional_attention', None, False)\n",
        '',
        'EmbeddingGemma is read as a causal model.',
        (
            'tests/families_test.py::'
            'test_what_is_not_computed_is_refused_by_its_name',
        ),
    ),
    Mutation(
        'gemma3-is-as-short-as-gemma1',
        _FAMILIES + 'gemma.py',
        "longest = 131072 if kind == 'gemma3_text' else 8192",
        'longest = 8192',
        'Long examples are refused that the model reads.',
        (
            'tests/families_test.py::'
            'test_an_absent_key_is_the_default_of_transformers',
        ),
    ),
    Mutation(
        'gemma-embeddings-scaled-by-the-width',
        _FAMILIES + 'gemma.py',
        'embedding_scale=width**0.5,',
        'embedding_scale=float(width),',
        'Every Gemma is another model.',
        ('tests/models_test.py::test_logits[gemma]',),
    ),
    Mutation(
        'gemma-caps-off-by-default',
        _FAMILIES + 'gemma.py',
        "caps = 0.0 if kind != 'gemma2' else 1.0",
        'caps = 0.0',
        'Gemma 2 whose file is silent is not capped.',
        (
            'tests/families_test.py::'
            'test_an_absent_key_is_the_default_of_transformers[gemma2]',
        ),
    ),
    Mutation(
        'gemma-null-cap-is-the-default',
        _FAMILIES + 'gemma.py',
        'return float(hf.fields.get(key, default) or 0.0)',
        'return float(hf.get(key, default))',
        'A cap that the file switches off is on.',
        (
            'tests/families_test.py::'
            'test_a_cap_of_null_is_off_and_one_of_its_own_counts',
        ),
    ),
    Mutation(
        'gemma-local-pattern-begins-with-a-global-layer',
        _FAMILIES + 'gemma.py',
        'return tuple((i + 1) % every != 0 for i in range(layers))',
        'return tuple(i % every != 0 for i in range(layers))',
        'Gemma 2 and 3 have windows in other layers.',
        (
            'tests/families_test.py::'
            'test_an_absent_key_is_the_default_of_transformers[gemma2]',
        ),
    ),
    Mutation(
        'gemma2-pattern-of-gemma3',
        _FAMILIES + 'gemma.py',
        "default = 2 if kind == 'gemma2' else 6",
        'default = 6',
        'Gemma 2 has windows in other layers.',
        (
            'tests/families_test.py::'
            'test_an_absent_key_is_the_default_of_transformers[gemma2]',
        ),
    ),
    Mutation(
        'gemma3-thetas-swapped',
        _FAMILIES + 'gemma.py',
        """        hf.rotary_of('rope_parameters', whole, theta, head_dim),
        hf.rotary_of('rope_parameters', near, local, head_dim),
""",
        """        hf.rotary_of('rope_parameters', near, local, head_dim),
        hf.rotary_of('rope_parameters', whole, theta, head_dim),
""",
        'Gemma 3 is another model.',
        ('tests/models_test.py::test_logits[gemma3]',),
    ),
    Mutation(
        'gemma2-with-the-norms-of-gemma1',
        _FAMILIES + 'gemma.py',
        "'attention_out_norm/scale', False),",
        "'mlp_out_norm/scale', False),",
        'Gemma 2 does not load.',
        ('tests/models_test.py::test_logits[gemma2]',),
    ),
    Mutation(
        'gpt2-scores-of-every-layer-alike',
        _FAMILIES + 'gpt2.py',
        "'scale_attn_by_inverse_layer_idx', False, default=False",
        "'scale_attn_by_inverse_layer_idx', False, True, default=False",
        'A GPT-2 that scales scores by layer is another model.',
        (
            'tests/families_test.py::'
            'test_what_is_not_computed_is_refused_by_its_name',
        ),
    ),
    Mutation(
        'gpt2-mlp-as-wide-as-the-model',
        _FAMILIES + 'gpt2.py',
        "mlp_width=hf.size('n_inner', 4 * width),",
        "mlp_width=hf.size('n_inner', width),",
        'GPT-2, whose file is silent, does not load.',
        ('tests/counts_test.py::test_models',),
    ),
    Mutation(
        'gpt2-kernels-transposed',
        _FAMILIES + 'gpt2.py',
        "(f'{rest}.weight', f'{leaf}/kernel', False),",
        "(f'{rest}.weight', f'{leaf}/kernel', True),",
        "Square kernels of GPT-2 are read the wrong way; others don't load.",
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[gpt2]',
        ),
    ),
    Mutation(
        'gpt2-epsilon-of-another-model',
        _FAMILIES + 'gpt2.py',
        "norm_eps=hf.real('layer_norm_epsilon', 1e-5),",
        "norm_eps=hf.real('layer_norm_eps', 1e-5),",
        'The epsilon of the file is ignored.',
        (
            'tests/families_test.py::'
            'test_the_epsilon_of_the_file_is_that_of_the_norms',
        ),
    ),
    Mutation(
        'neox-with-grouped-keys',
        _FAMILIES + 'gpt_neox.py',
        'if groups != heads:',
        'if groups > heads:',
        'A kernel of other parts is cut in the wrong places.',
        (
            'tests/families_test.py::'
            'test_what_is_not_computed_is_refused_by_its_name',
        ),
    ),
    Mutation(
        'pythia-turns-whole-heads',
        _FAMILIES + 'gpt_neox.py',
        "hf.get('rotary_pct', hf.get('partial_rotary_factor', 0.25)),",
        "hf.get('partial_rotary_factor', 1.0),",
        'Pythia is another model.',
        ('tests/models_test.py::test_logits[pythia]',),
    ),
    Mutation(
        'pythia-theta-of-another-key',
        _FAMILIES + 'gpt_neox.py',
        "theta = hf.get('rotary_emb_base', hf.get('rope_theta', 10000.0))",
        "theta = hf.get('rope_theta', 10000.0)",
        'GPT-NeoX with another base is another model.',
        ('tests/models_test.py::test_logits[pythia]',),
    ),
    Mutation(
        'neox-is-always-parallel',
        _FAMILIES + 'gpt_neox.py',
        "layout='parallel' if parallel else 'pre',",
        "layout='parallel',",
        'StableLM of the alpha series is another model.',
        ('tests/models_test.py::test_logits[neox_serial]',),
    ),
    Mutation(
        'a-silent-file-has-no-window',
        _FAMILIES + 'llama.py',
        "if not uses or hf.fields.get('sliding_window', _WINDOW) is None:",
        "if not uses or hf.get('sliding_window') is None:",
        'A Mistral whose file is silent reads more than its window.',
        (
            'tests/families_test.py::'
            'test_a_window_is_transformers_unless_it_is_null',
        ),
    ),
    Mutation(
        'mistral-without-a-window',
        _FAMILIES + 'llama.py',
        "uses = kind == 'mistral' or (",
        'uses = (',
        'Mistral reads more than its window.',
        ('tests/models_test.py::test_logits[mistral]',),
    ),
    Mutation(
        'qwen-windows-in-the-first-layers',
        _FAMILIES + 'llama.py',
        'local = tuple(i >= first for i in range(num_layers))',
        'local = tuple(i < first for i in range(num_layers))',
        'Qwen with windows has them in other layers.',
        ('tests/models_test.py::test_logits[qwen3]',),
    ),
    Mutation(
        'qwen2-output-with-a-bias',
        _FAMILIES + 'llama.py',
        "output_bias=kind != 'qwen2' and _biases(hf, kind),",
        'output_bias=_biases(hf, kind),',
        'Qwen 2 does not load.',
        (
            'tests/tensor_names_test.py::'
            'test_tensors_have_the_names_of_published_checkpoints[qwen2]',
        ),
    ),
    Mutation(
        'mlp-biases-of-every-kind',
        _FAMILIES + 'llama.py',
        "mlp_bias=kind == 'llama' and bool(hf.get('mlp_bias', False)),",
        "mlp_bias=bool(hf.get('attention_bias', False)),",
        'Models with biases in one part alone do not load.',
        ('tests/families_test.py::test_biases_are_where_their_keys_put_them',),
    ),
    Mutation(
        'key-and-value-swapped',
        _FAMILIES + 'llama.py',
        """        *linear('self_attn.k_proj', 'attention/key'),
        *linear('self_attn.v_proj', 'attention/value'),
""",
        """        *linear('self_attn.k_proj', 'attention/value'),
        *linear('self_attn.v_proj', 'attention/key'),
""",
        'Llama and its relatives are other models.',
        ('tests/weights_test.py::test_every_leaf_is_its_tensor',),
    ),
    Mutation(
        'opt-always-with-its-last-norm',
        _FAMILIES + 'opt.py',
        "before and not hf.get('_remove_final_layer_norm', False)",
        'before',
        'Old checkpoints of OPT miss a norm.',
        ('tests/families_test.py::test_an_opt_may_be_without_its_last_norm',),
    ),
    Mutation(
        'opt-norms-without-scales',
        _FAMILIES + 'opt.py',
        "    hf.only('layer_norm_elementwise_affine', True, default=True)\n",
        '',
        'An OPT whose norms have no scale is reported as missing tensors.',
        (
            'tests/families_test.py::'
            'test_what_is_not_computed_is_refused_by_its_name',
        ),
    ),
    Mutation(
        'opt-offset-of-one',
        _FAMILIES + 'opt.py',
        '_OFFSET = 2 ',
        '_OFFSET = 1 ',
        'OPT reads the rows of other positions.',
        ('tests/models_test.py::test_logits[opt]',),
    ),
    Mutation(
        'opt-names-of-llama',
        _FAMILIES + 'opt.py',
        "*linear('self_attn.out_proj', 'attention/output'),",
        "*linear('self_attn.o_proj', 'attention/output'),",
        'No OPT of the hub loads.',
        (
            'tests/tensor_names_test.py::'
            'test_tensors_have_the_names_of_published_checkpoints[opt_350m]',
        ),
    ),
    Mutation(
        'opt-norm-before-always',
        _FAMILIES + 'opt.py',
        "layout='pre' if before else 'post',",
        "layout='pre',",
        'OPT 350M is another model.',
        ('tests/models_test.py::test_logits[opt_350m]',),
    ),
    Mutation(
        'roberta-with-relative-positions',
        _FAMILIES + 'roberta.py',
        "'position_embedding_type', 'absolute', default",
        "'position_embeddings', 'absolute', default",
        'A RoBERTa with relative positions is another model.',
        (
            'tests/families_test.py::'
            'test_what_is_not_computed_is_refused_by_its_name',
        ),
    ),
    Mutation(
        'roberta-positions-from-the-padding-row',
        _FAMILIES + 'roberta.py',
        "offset = hf.get('pad_token_id', 1) + 1",
        "offset = hf.get('pad_token_id', 1)",
        'RoBERTa reads the rows of other positions.',
        ('tests/models_test.py::test_logits[roberta]',),
    ),
    Mutation(
        'roberta-epsilon-of-others',
        _FAMILIES + 'roberta.py',
        "norm_eps=hf.real('layer_norm_eps', 1e-12),",
        "norm_eps=hf.real('layer_norm_eps', 1e-5),",
        'RoBERTa whose file is silent is another model.',
        (
            'tests/families_test.py::'
            'test_an_absent_key_is_the_default_of_transformers[roberta]',
        ),
    ),
    Mutation(
        'roberta-untied-head-with-the-other-bias',
        _FAMILIES + 'roberta.py',
        "if tied else ('decoder.bias', 'bias')",
        "if tied else ('bias', 'decoder.bias')",
        'An untied RoBERTa has the bias that is not used.',
        (
            'tests/tensor_names_test.py::'
            'test_the_bias_of_roberta_s_head_is_that_of_the_kernel_used',
        ),
    ),
    Mutation(
        'roberta-longer-than-its-table',
        _FAMILIES + 'roberta.py',
        'max_positions=rows - offset,',
        'max_positions=rows,',
        'Long texts read positions beyond the table.',
        (
            'tests/families_test.py::'
            'test_the_table_of_positions_ends_with_the_last_position',
        ),
    ),
    Mutation(
        'mt5-scales-like-t5',
        _FAMILIES + 't5.py',
        'scaled = scaled and not multilingual',
        'scaled = bool(scaled)',
        'Logits of a tied mT5 are too small.',
        (
            'tests/families_test.py::'
            'test_a_tied_t5_scales_its_hidden_states_and_mt5_never',
        ),
    ),
    Mutation(
        't5-always-scales',
        _FAMILIES + 't5.py',
        "scaled = bool(hf.get('scale_decoder_outputs', said_tied))",
        'scaled = said_tied',
        'A key of transformers 5 has no effect.',
        (
            'tests/families_test.py::'
            'test_a_tied_t5_scales_its_hidden_states_and_mt5_never',
        ),
    ),
    Mutation(
        't5-gelu-is-exact',
        _FAMILIES + 't5.py',
        "name = 'gelu_new' if kind == 'gated-gelu' else kind.split('-')[-1]",
        "name = kind.split('-')[-1]",
        'T5 1.1 and Flan-T5 are off in the fourth digit.',
        ('tests/models_test.py::test_logits[t5_v1_1]',),
    ),
    Mutation(
        't5-encoder-with-the-decoder-s-layers',
        _FAMILIES + 't5.py',
        'dataclasses.replace(config, num_layers=layers, causal=False)',
        'dataclasses.replace(config, causal=False)',
        'T5 with stacks of two depths does not load.',
        ('tests/models_test.py::test_logits[t5_v1_1]',),
    ),
    Mutation(
        't5-untied-head-is-scaled',
        _FAMILIES + 't5.py',
        'head_scale=width**-0.5 if scaled else 1.0,',
        'head_scale=width**-0.5,',
        'Logits of T5 1.1 are too small.',
        ('tests/models_test.py::test_logits[t5_v1_1]',),
    ),
    Mutation(
        't5-starts-with-the-end',
        _FAMILIES + 't5.py',
        "hf.get('decoder_start_token_id', hf.get('pad_token_id', 0))",
        "hf.get('eos_token_id', 1)",
        'The decoder of T5 begins with another token.',
        ('tests/models_test.py::test_greedy_tokens[t5]',),
    ),
    Mutation(
        'mt5-is-not-gated',
        _FAMILIES + 't5.py',
        "default = 'gated-gelu' if fields['model_type'] == 'mt5' else 'relu'",
        "default = 'relu'",
        'mT5 whose file is silent does not load.',
        (
            'tests/families_test.py::'
            'test_an_absent_key_is_the_default_of_transformers[mt5]',
        ),
    ),
    # Names, and what a prompt begins as
    Mutation(
        'kernels-are-not-transposed',
        'fedprompt_jax/models/names.py',
        "rules = [(f'{rest}.weight', f'{leaf}/kernel', True)]",
        "rules = [(f'{rest}.weight', f'{leaf}/kernel', False)]",
        'Square kernels are read the wrong way.',
        ('tests/weights_test.py::test_every_leaf_is_its_tensor',),
    ),
    Mutation(
        'written-names-without-their-prefix',
        'fedprompt_jax/models/names.py',
        r"""name = re.sub(r'\(\?:(.*?)\)\?', r'\1', name)""",
        r"""name = re.sub(r'\(\?:(.*?)\)\?', '', name)""",
        'transformers does not find the tensors of a trained model.',
        (
            'tests/tensor_names_test.py::'
            'test_tensors_have_the_names_of_published_checkpoints[roberta]',
        ),
    ),
    Mutation(
        'prompts-begin-as-rows-of-the-table',
        'fedprompt_jax/models/input_embeddings.py',
        "{'params': self._base}, jnp.asarray(tokens), method='embed_tokens'\n",
        """{'params': self._base},
            jnp.asarray(tokens),
            method=lambda model, x: model.embed(x),
""",
        "A prompt of a text is not that text in Gemma's eyes.",
        (
            'tests/init_text_test.py::'
            'test_drawn_tokens_are_what_the_model_reads_too',
        ),
    ),
    Mutation(
        'prompts-begin-in-bf16',
        'fedprompt_jax/models/input_embeddings.py',
        'return rows.astype(jnp.float32)',
        'return rows',
        'A prompt of tokens is trained in bf16.',
        (
            'tests/init_text_test.py::'
            'test_rows_of_the_table_are_f32_and_end_with_it',
        ),
    ),
    Mutation(
        'tokens-beyond-the-table-are-its-last',
        'fedprompt_jax/models/input_embeddings.py',
        'if np.max(tokens, initial=0) >= self.shape[0]:',
        'if np.max(tokens, initial=0) > self.shape[0]:',
        'A prompt begins with another token than the one named.',
        (
            'tests/init_text_test.py::'
            'test_rows_of_the_table_are_f32_and_end_with_it',
        ),
    ),
)
