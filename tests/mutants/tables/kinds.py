"""Mistakes in kinds of trained parameters that HF PEFT does not have."""

from tests.mutants.mutation import Mutation

_ADAPTER = 'fedprompt_jax/peft/adapter.py'
_BANK = 'fedprompt_jax/bank/binding.py'
_LPT = 'fedprompt_jax/peft/lpt.py'
_MODULE = 'fedprompt_jax/models/adapter.py'
_STACK = 'fedprompt_jax/models/stack.py'

_KINDS = 'tests/kinds_test.py::test_'
_PLAIN = 'tests/peft_test.py::test_packed_is_vmapped_is_plain'
_TEXT = 'tests/peft_test.py::test_generation_is_a_plain_call_for_every_token'
_POSITIONS = _KINDS + 'positions_are_those_of_virtual_tokens'

MUTATIONS = (
    # --- Bottleneck adapters ---------------------------------------------
    Mutation(
        'an-adapter-has-no-skip-connection',
        _MODULE,
        "return y + (hidden @ w['up'] + w['up_bias'][:, None])",
        "return hidden @ w['up'] + w['up_bias'][:, None]",
        'A layer starts without attention and MLP.',
        (_PLAIN + '[gemma3: adapter]',),
    ),
    Mutation(
        'an-adapter-is-linear',
        _MODULE,
        'hidden = recomputed(ACTIVATIONS[name])(hidden)',
        'hidden = recomputed(lambda x: x)(hidden)',
        'config.adapter.activation has no effect.',
        (_PLAIN + '[gemma3: adapter]',),
    ),
    Mutation(
        'all-rows-have-the-first-owner-s-adapter',
        _MODULE,
        'row = owner.max(axis=1, initial=0)',
        'row = 0 * owner.max(axis=1, initial=0)',
        'A cohort trains one adapter, and personalization does nothing.',
        (_PLAIN + '[gemma3: adapter]',),
    ),
    Mutation(
        'an-adapter-s-first-bias-is-dropped',
        _MODULE,
        "y @ w['down'] + w['down_bias'][:, None]",
        "y @ w['down'] + 0 * w['down_bias'][:, None]",
        'A part of what is sent has no effect.',
        (_PLAIN + '[gemma3: adapter]',),
    ),
    Mutation(
        'attention-has-no-adapter',
        _STACK,
        "return Adapter(name='attention_adapter')(y, places.owner), new_kv",
        'return y, new_kv',
        'Half of what is sent has no effect.',
        (_PLAIN + '[gemma3: adapter]',),
    ),
    Mutation(
        'an-mlp-s-adapter-stands-before-it',
        _STACK,
        "            y = layers.MLP(c, name='mlp')(y, places.owner)\n"
        "            return Adapter(name='mlp_adapter')(y, places.owner)",
        "            y = Adapter(name='mlp_adapter')(y, places.owner)\n"
        "            return layers.MLP(c, name='mlp')(y, places.owner)",
        'The adapter is not that of Houlsby et al.',
        (_PLAIN + '[roberta: adapter, mlp]',),
    ),
    Mutation(
        'owners-of-adapters-share-rows',
        _ADAPTER,
        'one_owner = True',
        'one_owner = False',
        "Clients train with each other's adapters.",
        (_PLAIN + '[gemma3: adapter]',),
    ),
    Mutation(
        'an-adapter-s-activation-is-always-gelu',
        _ADAPTER,
        '(*p[:-1], self.activation, p[-1])',
        "(*p[:-1], 'gelu', p[-1])",
        'config.adapter.activation has no effect.',
        (_PLAIN + '[roberta: adapter, mlp]',),
    ),
    Mutation(
        'an-adapter-s-scale-is-its-variance',
        _ADAPTER,
        'self.scale * kernel',
        'self.scale**2 * kernel',
        'An adapter of 0.01 starts at 0.0001, as if it were nothing.',
        (_KINDS + 'an_adapter_starts_near_the_identity',),
    ),
    Mutation(
        'kernels-of-adapters-have-tails',
        _ADAPTER,
        'np.abs(x) > 2).any()',
        'np.abs(x) > 3).any()',
        'The first adapter is not the one of the authors.',
        (_KINDS + 'an_adapter_starts_near_the_identity',),
    ),
    Mutation(
        'adapters-are-behind-attention-whatever-is-asked',
        _ADAPTER,
        'places = PLACES[c.places]',
        "places = PLACES['both']",
        'config.adapter.places has no effect: twice the traffic.',
        (_KINDS + 'an_adapter_is_what_the_config_says',),
    ),
    Mutation(
        'an-encoder-has-no-adapters',
        _ADAPTER,
        '    if model.encoder:\n',
        '    if model.encoder and not model.layout:\n',
        'Of T5 the decoder alone is trained.',
        (_KINDS + 'both_stacks_have_adapters_of_their_own_depth',),
    ),
    Mutation(
        'an-adapter-takes-positions',
        _ADAPTER,
        '    del config\n    return 0',
        '    return config.adapter.width',
        'Examples are cut shorter than the model would have it.',
        (_POSITIONS,),
    ),
    # --- A late prompt ---------------------------------------------------
    Mutation(
        'layers-below-read-the-slots',
        _STACK,
        'return self._replace(mask=self.mask & (slot < 0)[:, None, :])',
        'return self._replace(mask=self.mask)',
        'Tokens read padding below the prompt.',
        (_PLAIN + '[gemma3: lpt]',),
    ),
    Mutation(
        'layers-below-read-the-cached-slots',
        _STACK,
        'slot = jnp.concatenate([past_places.slot, slot], axis=1)\n'
        '        return',
        'slot = jnp.concatenate([0 * past_places.slot - 1, slot], axis=1)\n'
        '        return',
        'Texts are written by another model than the one that was trained.',
        (_TEXT + '[gemma3: lpt]',),
    ),
    Mutation(
        'a-late-prompt-enters-a-layer-later',
        _STACK,
        'split, total = late.layer, self.config.num_layers',
        'split, total = late.layer + 1, self.config.num_layers',
        'config.lpt.depth is that of another layer.',
        (_PLAIN + '[gemma3: lpt]',),
    ),
    Mutation(
        'a-late-prompt-replaces-the-text',
        _STACK,
        'x = jnp.where(is_slot, late.rows, x)',
        'x = jnp.where(is_slot, x, late.rows)',
        'The layers above read nothing of the query.',
        (_PLAIN + '[gemma3: lpt]',),
    ),
    Mutation(
        'upper-layers-are-the-lower-ones',
        _STACK,
        'lambda v, i=first, j=last: v[i:j],',
        'lambda v, i=first, j=last: v[: j - i],',
        'The model above the prompt is another one.',
        (_PLAIN + '[gemma3: lpt]',),
    ),
    Mutation(
        'a-late-prompt-is-one-of-embeddings',
        _BANK,
        'if self.enters_at is not None:',
        'if self.enters_at is None and owner is None:',
        'Late prompt tuning is prompt tuning.',
        (_PLAIN + '[gemma3: lpt]',),
    ),
    Mutation(
        'the-layer-of-a-late-prompt-is-dropped',
        _BANK,
        'self.transformer, variables, prompt, self.kind.enters_at',
        'self.transformer, variables, prompt, None',
        'Late prompt tuning is prompt tuning.',
        (_PLAIN + '[gemma3: lpt]',),
    ),
    Mutation(
        'an-encoder-s-late-prompt-is-dropped',
        'fedprompt_jax/models/transformer.py',
        'self.encoder.hidden_states(x, places, mask, late=late)[0]',
        'self.encoder.hidden_states(x, places, mask)[0]',
        'What T5 trains has no effect.',
        (_PLAIN + '[t5_v1_1: lpt]',),
    ),
    Mutation(
        'tokens-of-a-late-prompt-are-shifted-in-a-table',
        _LPT,
        'return 0 if self.learned else self.length',
        'return self.length',
        'The layers below read the text at positions of its own.',
        (_PLAIN + '[gpt2: lpt]',),
    ),
    Mutation(
        'tokens-stand-at-the-positions-of-a-late-prompt',
        _LPT,
        'return 0 if self.learned else self.length',
        'return 0',
        'The prompt is among the first tokens, and not before them.',
        (_PLAIN + '[gemma3: lpt]',),
    ),
    Mutation(
        'a-late-prompt-of-an-encoder-is-shared',
        _LPT,
        'attends_to_text = True',
        'attends_to_text = False',
        'A prompt that reads both ways has the state of another text.',
        (_KINDS + 'what_reads_the_text_is_not_shared',),
    ),
    Mutation(
        'a-late-prompt-is-as-wide-as-embeddings',
        _LPT,
        'LatePrompt(c.length, layer, reader.width, learned, c.scale)',
        'LatePrompt(\n        c.length,\n        layer,\n'
        '        reader.embedding_width or reader.width,\n'
        '        learned,\n        c.scale,\n    )',
        'It does not fit OPT-350M.',
        (_KINDS + 'a_late_prompt_is_as_wide_as_hidden_states',),
    ),
    Mutation(
        'the-depth-of-a-late-prompt-is-the-share-above',
        _LPT,
        'layer = round(c.depth * reader.num_layers)',
        'layer = round((1 - c.depth) * reader.num_layers)',
        'config.lpt.depth=0.75 is a prompt at a quarter of the layers.',
        (_KINDS + 'a_late_prompt_is_what_the_config_says',),
    ),
    Mutation(
        'a-late-prompt-s-scale-is-its-variance',
        _LPT,
        'start.rng.normal(0.0, self.scale, (',
        'start.rng.normal(0.0, self.scale**2, (',
        'It starts at another size than the config says.',
        (_KINDS + 'a_late_prompt_is_what_the_config_says',),
    ),
    Mutation(
        'a-late-prompt-above-all-layers-is-no-fault',
        _LPT,
        'if config.lpt.depth >= 1:',
        'if config.lpt.depth > 1:',
        'The run fails after the model was loaded.',
        ('tests/config_test.py::test_faults_between_two_keys',),
    ),
    Mutation(
        'a-late-prompt-takes-no-positions',
        _LPT,
        'return config.lpt.length',
        'return 0',
        'Examples are cut to a length that the model lacks room for.',
        (_POSITIONS,),
    ),
)
