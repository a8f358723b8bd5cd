"""Mistakes in what is trained, how it starts, is read and is saved."""

from tests.mutants.mutation import Mutation

_FULL = 'fedprompt_jax/peft/full.py'
_HF = 'fedprompt_jax/bank/hf_adapter.py'
_IA3 = 'fedprompt_jax/peft/ia3.py'
_KIND = 'fedprompt_jax/bank/kind.py'
_LORA = 'fedprompt_jax/peft/lora.py'
_MODULES = 'fedprompt_jax/bank/modules.py'
_PREFIX = 'fedprompt_jax/peft/prefix.py'
_PROMPT = 'fedprompt_jax/peft/prompt.py'
_READING = 'fedprompt_jax/bank/reading.py'
_READS = 'fedprompt_jax/models/reads.py'
_TUNED = 'fedprompt_jax/bank/binding.py'

_PLAIN = 'tests/peft_test.py::test_packed_is_vmapped_is_plain'

MUTATIONS = (
    # --- A prompt --------------------------------------------------------
    Mutation(
        'a-prompt-s-scale-is-its-variance',
        _PROMPT,
        'start.rng.normal(0.0, self.scale, shape)',
        'start.rng.normal(0.0, self.scale**2, shape)',
        "The paper's N(0, 0.25) has a deviation of 0.5, not of 0.25.",
        (
            'tests/initial_params_test.py'
            '::test_a_normal_prompt_has_scale_as_its_standard_deviation',
        ),
    ),
    Mutation(
        'a-uniform-prompt-is-on-one-side',
        _PROMPT,
        'start.rng.uniform(-self.scale, self.scale, shape)',
        'start.rng.uniform(0.0, self.scale, shape)',
        'Every prompt starts with a mean of its own scale.',
        (
            'tests/initial_params_test.py'
            '::test_a_uniform_prompt_fills_the_interval_of_scale_evenly',
        ),
    ),
    Mutation(
        'drawn-tokens-may-be-equal',
        _PROMPT,
        'start.rng.choice(size, self.length, replace=False)',
        'start.rng.choice(size, self.length)',
        'Two positions of a prompt can start alike, and stay alike.',
        (
            'tests/initial_params_test.py'
            '::test_a_prompt_of_the_vocabulary_is_distinct_embeddings_of_tokens',
        ),
    ),
    Mutation(
        'a-prompt-is-trained-in-the-model-s-dtype',
        _PROMPT,
        "{'prompt': jnp.asarray(prompt, jnp.float32)}",
        "{'prompt': jnp.asarray(prompt)}",
        'In bfloat16, updates below 0.4 % of a number are lost.',
        ('tests/initial_params_test.py::test_what_is_trained_is_f32',),
    ),
    Mutation(
        'a-short-text-is-filled-with-token-0',
        _PROMPT,
        'ids = np.resize(self._tokens(start), self.length)',
        'ids = np.pad(self._tokens(start), (0, self.length))[: self.length]',
        'A prompt that starts as a text is not the text.',
        (
            'tests/initial_params_test.py'
            '::test_a_prompt_of_a_text_repeats_its_tokens',
        ),
    ),
    Mutation(
        'a-text-without-tokens-is-taken',
        _PROMPT,
        'if not tokens:',
        'if tokens is None:',
        'The run fails in NumPy, after the model was loaded.',
        ('tests/init_text_test.py::test_a_text_without_a_token_is_refused',),
    ),
    Mutation(
        'tokens-stand-at-the-positions-of-their-prompt',
        _PROMPT,
        'def first_position(self) -> int:\n        return self.length',
        'def first_position(self) -> int:\n        return 0',
        'The model is not the one that reads P embeddings before a text.',
        (_PLAIN + '[gemma3: prompt]',),
    ),
    Mutation(
        'the-text-of-the-config-is-dropped',
        _PROMPT,
        'return Prompt(c.length, c.init, c.scale, c.text)',
        'return Prompt(c.length, c.init, c.scale)',
        'config.prompt.text has no effect.',
        ('tests/kinds_test.py::test_a_prompt_is_what_the_config_says',),
    ),
    Mutation(
        'a-prompt-takes-no-positions',
        _PROMPT,
        'return config.prompt.length',
        'return 0',
        'Examples are cut to a length that the model lacks room for.',
        ('tests/kinds_test.py::test_positions_are_those_of_virtual_tokens',),
    ),
    Mutation(
        'a-prompt-of-an-empty-text-is-no-fault',
        _PROMPT,
        "if config.prompt.init == 'text' and not config.prompt.text:",
        "if config.prompt.init == 'text' and config.prompt.text:",
        'The run fails after everything was loaded.',
        ('tests/config_test.py::test_faults_between_two_keys',),
    ),
    # --- A prefix --------------------------------------------------------
    Mutation(
        'keys-and-values-of-a-prefix-are-swapped',
        _PREFIX,
        "'prefix_key': stacked[:, :, 0],\n"
        "            'prefix_value': stacked[:, :, 1],",
        "'prefix_key': stacked[:, :, 1],\n"
        "            'prefix_value': stacked[:, :, 0],",
        'A prefix of HF PEFT is read as another; ours is misread there.',
        (
            'tests/adapters_test.py'
            '::test_the_loss_behind_an_adapter_of_peft_is_pytorch_s',
        ),
    ),
    Mutation(
        'shifted-and-kept-positions-are-swapped',
        _PREFIX,
        'return self.slots if self.shifted else 0',
        'return 0 if self.shifted else self.slots',
        "FedPepTAO's prefix is FedSP's, under the wrong name.",
        (
            'tests/adapters_test.py'
            '::test_the_loss_behind_an_adapter_of_peft_is_pytorch_s',
        ),
    ),
    Mutation(
        'config-prefix-positions-is-inverted',
        _PREFIX,
        "        c.positions == 'shifted',\n",
        "        c.positions != 'shifted',\n",
        "FedPepTAO's prefix is FedSP's, under the wrong name.",
        ('tests/kinds_test.py::test_a_prefix_is_what_the_config_says',),
    ),
    Mutation(
        'kept-positions-take-room',
        _PREFIX,
        "return c.length if c.positions == 'shifted' else 0",
        'return c.length',
        'Examples are cut shorter than the model would have it.',
        ('tests/kinds_test.py::test_positions_are_those_of_virtual_tokens',),
    ),
    Mutation(
        'config-prefix-layers-is-ignored',
        _PREFIX,
        'c.length if i in chosen else 0',
        'c.length',
        'Half a prefix is a whole one: twice the traffic of the paper.',
        ('tests/kinds_test.py::test_a_prefix_is_what_the_config_says',),
    ),
    Mutation(
        'layers-that-are-not-there-are-ignored',
        _PREFIX,
        '    if strange:\n',
        '    if strange and not chosen:\n',
        'A prefix of layers 12 to 23 of a model with 12 is nothing.',
        ('tests/kinds_test.py::test_a_prefix_of_layers_there_are_not',),
    ),
    Mutation(
        'a-prefix-has-as-many-heads-as-queries',
        _PREFIX,
        '        reader.num_kv_heads,\n',
        '        reader.num_heads,\n',
        'A model with grouped heads has no room for the prefix.',
        ('tests/kinds_test.py::test_a_prefix_is_what_the_config_says',),
    ),
    Mutation(
        'a-prefix-of-an-encoder-goes-nowhere',
        _PREFIX,
        "('encoder', 'layers') if info.config.encoder else ('layers',),",
        "('layers',),",
        'A prefix of T5 is trained and never read.',
        ('tests/kinds_test.py::test_a_prefix_is_in_the_encoder_of_two_stacks',),
    ),
    Mutation(
        'short-prefixes-are-padded-in-front',
        _PREFIX,
        '[(0, self.slots - len(r)), *room]',
        '[(self.slots - len(r), 0), *room]',
        'Layers of shorter prefixes read zeros instead of what is trained.',
        (_PLAIN + '[gemma3: prefix, ragged]',),
    ),
    Mutation(
        'layers-of-shorter-prefixes-read-padding',
        _PREFIX,
        '> 1 or self.zeros_absent:\n            lengths',
        '> len(self.lengths) or self.zeros_absent:\n            lengths',
        'A layer without a prefix attends to zeros.',
        (_PLAIN + '[gemma3: prefix, ragged]',),
    ),
    Mutation(
        'slots-and-layers-of-an-mlp-are-swapped',
        _PREFIX,
        'return x.reshape(self.slots, layers, *shape).swapaxes(0, 1)',
        'return x.reshape(layers, self.slots, *shape)',
        'A layer reads what the MLP makes for others.',
        (_PLAIN + '[gemma3: prefix, mlp]',),
    ),
    Mutation(
        'an-mlp-s-bias-starts-as-wide-as-its-outputs',
        _PREFIX,
        "'b2': uniform(hidden, self._size),",
        "'b2': uniform(self._size, self._size),",
        'The MLP does not start as a linear layer of PyTorch does.',
        ('tests/initial_params_test.py::test_an_mlp_starts_as_in_pytorch',),
    ),
    Mutation(
        'a-prefix-s-scale-is-its-variance',
        _PREFIX,
        'start.rng.normal(0, scale, shape)',
        'start.rng.normal(0, scale**2, shape)',
        'A prefix of 0.02 starts at 0.0004, as if it were nothing.',
        (
            'tests/initial_params_test.py'
            '::test_a_prefix_has_scale_as_its_standard_deviation',
        ),
    ),
    Mutation(
        'a-prefix-that-peft-lacks-is-written-for-it',
        _PREFIX,
        'if uneven or not self.shifted or encoder:',
        'if uneven:',
        'PEFT reads it at other positions, or fills an empty decoder.',
        ('tests/kinds_test.py::test_a_prefix_that_peft_has_not_is_refused',),
    ),
    Mutation(
        'layers-and-slots-of-a-saved-prefix-are-swapped',
        _PREFIX,
        'rows = self._stacked(params).swapaxes(0, 1)  # [P, layers, 2, K, h]',
        'rows = self._stacked(params)',
        "PEFT reads a layer's prefix in another layer.",
        (
            'tests/adapters_test.py'
            '::test_a_saved_adapter_has_the_tensors_and_numbers_of_peft_s',
        ),
    ),
    Mutation(
        'a-prefix-without-its-mlp-is-loaded-into-one',
        _PREFIX,
        'if self.hidden:\n            raise',
        'if self.hidden < 0:\n            raise',
        'What is loaded lacks the MLP that the model asks for.',
        ('tests/kinds_test.py::test_a_saved_prefix_has_no_mlp',),
    ),
    Mutation(
        'an-mlp-of-some-layers-is-no-fault',
        _PREFIX,
        'if config.prefix.mlp and config.prefix.layers:',
        'if config.prefix.mlp and not config.prefix.layers:',
        'config.prefix.layers is ignored where an MLP makes the prefix.',
        ('tests/kinds_test.py::test_faults_of_a_kind',),
    ),
    # --- LoRA ------------------------------------------------------------
    Mutation(
        'alpha-over-r-is-upside-down',
        _LORA,
        'x * (self.alpha / self.rank)',
        'x * (self.rank / self.alpha)',
        'An adapter of HF PEFT is read at another strength.',
        (_PLAIN + '[gpt2: lora]',),
    ),
    Mutation(
        'both-factors-of-lora-are-scaled',
        _LORA,
        "if path[-1] == 'lora_b' else x",
        "if path[-1] != 'ia3_in' else x",
        'The product is scaled by the square of alpha / r.',
        (_PLAIN + '[gpt2: lora]',),
    ),
    Mutation(
        'lora-s-b-does-not-start-at-zero',
        _LORA,
        "'lora_b'] = jnp.zeros((",
        "'lora_b'] = 1e-3 * jnp.ones((",
        'The initial adapter is not the bare model.',
        (
            'tests/initial_params_test.py'
            '::test_lora_starts_with_a_as_in_peft_and_with_b_zero',
        ),
    ),
    Mutation(
        'lora-s-a-is-bounded-by-its-rank',
        _LORA,
        'm.inputs**-0.5',
        'self.rank**-0.5',
        'An adapter starts several times as large as in PEFT.',
        (
            'tests/initial_params_test.py'
            '::test_lora_starts_with_a_as_in_peft_and_with_b_zero',
        ),
    ),
    Mutation(
        'owners-of-lora-share-rows',
        _LORA,
        'one_owner = True',
        'one_owner = False',
        "Clients train with each other's adapters.",
        (_PLAIN + '[gpt2: lora]',),
    ),
    Mutation(
        'rank-and-alpha-are-swapped',
        _LORA,
        'LoRA(targets, c.rank, c.alpha, ',
        'LoRA(targets, int(c.alpha), float(c.rank), ',
        'Twice as many numbers are trained, at a quarter of the strength.',
        ('tests/kinds_test.py::test_lora_is_what_the_config_says',),
    ),
    Mutation(
        'an-adapter-of-another-alpha-is-loaded',
        _LORA,
        'if (rank, alpha) != (self.rank, self.alpha):',
        'if rank != self.rank:',
        'An adapter is continued at another strength than it was trained.',
        ('tests/kinds_test.py::test_lora_of_another_scale_is_refused',),
    ),
    Mutation(
        'all-layers-of-a-loaded-lora-are-the-last-one',
        _LORA,
        'leaf[layer] = np.asarray(tensors[name]).T',
        'leaf[:] = np.asarray(tensors[name]).T',
        'A loaded adapter is another one.',
        (
            'tests/adapters_test.py'
            '::test_the_loss_behind_an_adapter_of_peft_is_pytorch_s',
        ),
    ),
    Mutation(
        'kernels-of-gpt-2-are-said-to-be-transposed',
        _LORA,
        "'fan_in_fan_out': self.conv1d,",
        "'fan_in_fan_out': not self.conv1d,",
        "PEFT merges an adapter's product the wrong way round.",
        (
            'tests/adapters_test.py'
            '::test_a_saved_adapter_has_the_tensors_and_numbers_of_peft_s',
        ),
    ),
    Mutation(
        'a-regex-of-lora-that-is-none-is-no-fault',
        _LORA,
        "modules.pattern_faults(config.lora.targets, 'lora.targets')",
        "modules.pattern_faults('', 'lora.targets')",
        'A run fails with an error of re, after the data were read.',
        ('tests/kinds_test.py::test_faults_of_a_kind',),
    ),
    # --- IA3 -------------------------------------------------------------
    Mutation(
        'shapes-of-ia3-s-tensors-are-swapped',
        _IA3,
        "(1, size) if path[-1] == 'ia3_in' else (size, 1)",
        "(size, 1) if path[-1] == 'ia3_in' else (1, size)",
        'PEFT cannot load the adapter.',
        (
            'tests/adapters_test.py'
            '::test_a_saved_adapter_has_the_tensors_and_numbers_of_peft_s',
        ),
    ),
    Mutation(
        'ia3-starts-at-zero',
        _IA3,
        'path: jnp.ones((len(m.names), size))',
        'path: jnp.zeros((len(m.names), size))',
        'The initial adapter is a model without attention.',
        (
            'tests/initial_params_test.py'
            '::test_an_adapter_starts_as_the_bare_model_and_can_leave_it',
        ),
    ),
    Mutation(
        'feedforward-modules-are-those-of-attention',
        _IA3,
        "'feedforward_modules': modules.for_peft(self.inputs),",
        "'feedforward_modules': modules.for_peft(self.outputs),",
        'PEFT multiplies the input where the output was trained.',
        (
            'tests/adapters_test.py'
            '::test_the_layers_that_we_name_are_those_that_peft_has_tensors_for',
        ),
    ),
    Mutation(
        'outputs-are-multiplied-where-inputs-are-asked',
        _IA3,
        "modules.find(info, c.inputs, 'config.ia3.inputs')",
        "modules.find(info, c.outputs, 'config.ia3.inputs')",
        'config.ia3.inputs has no effect.',
        ('tests/kinds_test.py::test_ia3_is_what_the_config_says',),
    ),
    Mutation(
        'a-vector-for-the-input-has-the-output-s-size',
        _IA3,
        "(*m.path, 'ia3_in'), m, m.inputs",
        "(*m.path, 'ia3_in'), m, m.outputs",
        'The adapter does not fit the layer.',
        (
            'tests/initial_params_test.py'
            '::test_an_adapter_starts_as_the_bare_model_and_can_leave_it',
        ),
    ),
    # --- Full fine-tuning, and nothing -----------------------------------
    Mutation(
        'a-whole-model-is-trained-in-its-dtype',
        _FULL,
        'lambda x: x.astype(jnp.float32), start.base',
        'lambda x: x, start.base',
        'In bfloat16, updates below 0.4 % of a weight are lost.',
        ('tests/initial_params_test.py::test_what_is_trained_is_f32',),
    ),
    Mutation(
        'a-whole-model-is-said-to-be-frozen',
        _FULL,
        'is_full_model = True',
        'is_full_model = False',
        'Gradients of weights are not counted among the operations.',
        (
            'tests/ledger_test.py'
            '::test_a_token_passes_once_forward_and_again_for_each_gradient',
        ),
    ),
    Mutation(
        'several-clients-may-train-whole-models',
        _FULL,
        "'clients_per_round': config.clients_per_round,\n        ",
        '',
        'A cohort trains on one model, that of its first client.',
        ('tests/kinds_test.py::test_faults_of_a_kind',),
    ),
    Mutation(
        'integers-are-trained',
        _FULL,
        'if config.model.quantization:',
        "if config.model.quantization == 'int4':",
        'The run fails where the gradient of an integer is taken.',
        ('tests/kinds_test.py::test_faults_of_a_kind',),
    ),
    Mutation(
        'a-bank-of-nothing-has-no-owners',
        'fedprompt_jax/bank/bare.py',
        "return {'nothing': jnp.zeros(1)}",
        'return {}',
        'The bare model cannot be scored.',
        (
            'tests/initial_params_test.py'
            '::test_an_adapter_starts_as_the_bare_model_and_can_leave_it',
        ),
    ),
    Mutation(
        'tokens-begin-at-position-one',
        _KIND,
        'def first_position(self) -> int:\n        return 0',
        'def first_position(self) -> int:\n        return 1',
        'The model behind LoRA reads every text one place further right.',
        (_PLAIN + '[gpt2: lora]',),
    ),
    Mutation(
        'a-kind-is-not-listed',
        'fedprompt_jax/peft/__init__.py',
        'for module in pkgutil.iter_modules(__path__))',
        'for module in list(pkgutil.iter_modules(__path__))[1:])',
        'A kind that there is cannot be asked for.',
        ('tests/peft_test.py::test_every_file_is_a_kind_with_its_contract',),
    ),
    # --- Linear layers by name -------------------------------------------
    Mutation(
        'a-layer-whose-name-holds-the-target-is-trained',
        _MODULES,
        'hits = [n for n in m.names if pattern.fullmatch(n)]',
        'hits = [n for n in m.names if pattern.match(n)]',
        "'q_proj' also finds 'q_proj_norm': more is trained than was asked.",
        ('tests/kinds_test.py::test_a_target_is_a_whole_name',),
    ),
    Mutation(
        'targets-in-some-layers-are-taken-in-all',
        _MODULES,
        'if hits and len(hits) < len(m.names):',
        'if not hits and len(hits) > len(m.names):',
        'A regex that names layer 0 trains all layers.',
        ('tests/peft_test.py::test_targets_in_some_layers_are_refused',),
    ),
    Mutation(
        'a-target-that-matches-nothing-trains-nothing',
        _MODULES,
        '    if not modules:\n',
        '    if modules is None:\n',
        'A misspelt target is a run of the bare model.',
        (
            'tests/peft_test.py'
            '::test_a_target_that_matches_nothing_names_what_there_is',
        ),
    ),
    Mutation(
        'conv1d-is-where-it-is-not',
        _MODULES,
        'return not next(',
        'return next(',
        'PEFT merges adapters of GPT-2 the wrong way round, and no others.',
        ('tests/kinds_test.py::test_lora_is_what_the_config_says',),
    ),
    Mutation(
        'inputs-and-outputs-of-a-kernel-are-swapped',
        _MODULES,
        'layers, inputs, outputs = info.shapes[path]',
        'layers, outputs, inputs = info.shapes[path]',
        'An adapter does not fit any layer that is not square.',
        (
            'tests/initial_params_test.py'
            '::test_lora_starts_with_a_as_in_peft_and_with_b_zero',
        ),
    ),
    Mutation(
        'the-last-module-alone-is-named-to-peft',
        _MODULES,
        "return '|'.join(m.pattern for m in modules)",
        'return [m.pattern for m in modules][-1]',
        'PEFT skips the layers that it is not given, without an error.',
        (
            'tests/adapters_test.py'
            '::test_the_layers_that_we_name_are_those_that_peft_has_tensors_for',
        ),
    ),
    Mutation(
        'a-broken-regex-is-no-fault',
        _MODULES,
        "return [f'config.{key}={targets!r} is no regular expression: "
        "{error}.']",
        'return []',
        'A run fails with an error of re, after the data were read.',
        ('tests/kinds_test.py::test_faults_of_a_kind',),
    ),
    # --- Files of adapters -----------------------------------------------
    Mutation(
        'every-adapter-is-of-a-causal-model',
        _HF,
        "'task_type': _TASKS[model_config.objective],",
        "'task_type': _TASKS['causal_lm'],",
        'PEFT loads an adapter of T5 as one of a causal model, and fails.',
        ('tests/kinds_test.py::test_a_saved_adapter_names_its_task',),
    ),
    Mutation(
        'a-saved-file-does-not-say-its-format',
        _HF,
        "metadata = {'format': 'pt'}",
        'metadata = {}',
        'PEFT and transformers refuse the file.',
        ('tests/kinds_test.py::test_a_saved_adapter_names_its_task',),
    ),
    Mutation(
        'heads-are-counted-as-layers',
        _HF,
        "'num_layers': model_config.num_layers,",
        "'num_layers': model_config.num_heads,",
        'PEFT makes a prompt for another number of layers.',
        ('tests/kinds_test.py::test_a_saved_adapter_names_its_task',),
    ),
    Mutation(
        'leaves-of-one-name-overwrite-each-other',
        _HF,
        "flax.traverse_util.flatten_dict(params, sep='/')",
        '{k[-1]: x for k, x in '
        'flax.traverse_util.flatten_dict(params).items()}',
        'Of the weights of an MLP and of a prefix, one is saved.',
        ('tests/kinds_test.py::test_what_peft_lacks_is_saved_by_its_paths',),
    ),
    Mutation(
        'a-plain-file-does-not-say-why',
        _HF,
        "safetensors.save_file(tensors, path, {'why': why})",
        'safetensors.save_file(tensors, path)',
        'A user finds a file that PEFT does not read, and no reason.',
        ('tests/kinds_test.py::test_what_peft_lacks_is_saved_by_its_paths',),
    ),
    Mutation(
        'an-adapter-of-another-kind-is-a-key-error',
        _HF,
        'except KeyError as error:',
        'except IndexError as error:',
        'The error names a tensor and does not say what is wrong.',
        ('tests/kinds_test.py::test_an_adapter_of_another_kind_is_refused',),
    ),
    # --- Reading a grid --------------------------------------------------
    Mutation(
        'prompts-of-other-examples-are-read',
        _READING,
        'mine = segment[:, :, None] == grid.segment[:, None, :]',
        'mine = (segment[:, :, None] >= 0) & (grid.segment[:, None, :] >= 0)',
        'The decoder reads the queries of other clients in its row.',
        (_PLAIN + '[t5_v1_1: prompt]',),
    ),
    Mutation(
        'owners-read-each-other',
        _READS,
        'first = (owner + 1) * (length + 1)',
        'first = jnp.zeros_like(owner)',
        "Clients that share a row read each other's prompts.",
        ('tests/packing_test.py::test_the_mask_is_the_formula',),
    ),
    Mutation(
        'a-prompt-that-reads-is-read-by-all-of-its-owner',
        _READS,
        'once = (jnp.asarray(slot) >= 0) & (segment == 0)',
        'once = jnp.asarray(slot) >= 0',
        "In masked models an example reads the others' copies of its prompt.",
        (_PLAIN + '[roberta: prompt]',),
    ),
    Mutation(
        'a-token-does-not-read-itself',
        _READS,
        'return reads & (k.column <= q.column) if causal else reads',
        'return reads & (k.column < q.column) if causal else reads',
        'The last token of every query is unread.',
        ('tests/packing_test.py::test_the_mask_is_the_formula',),
    ),
    Mutation(
        'an-encoder-is-read-as-causal',
        'fedprompt_jax/models/stack.py',
        'mask = mask.mask(c.causal)',
        'mask = mask.mask(True)',
        'RoBERTa and T5 read from left to right.',
        (_PLAIN + '[roberta: prompt]',),
    ),
    Mutation(
        'a-decoder-begins-with-the-target-before',
        _READING,
        'tokens = jnp.where(first, start, jnp.roll(label, 1, axis=1))',
        'tokens = jnp.roll(label, 1, axis=1)',
        'The first target of T5 is predicted from that of another example.',
        (_PLAIN + '[t5_v1_1: prompt]',),
    ),
    Mutation(
        'a-decoder-reads-the-token-it-predicts',
        _READING,
        'jnp.where(first, start, jnp.roll(label, 1, axis=1))',
        'jnp.where(first, start, label)',
        'T5 trains to copy, with a loss near zero.',
        (_PLAIN + '[t5_v1_1: prompt]',),
    ),
    # --- The model under a bank ------------------------------------------
    Mutation(
        'the-first-slot-is-no-slot',
        _TUNED,
        'jnp.where((places.slot >= 0)[..., None], rows, x)',
        'jnp.where((places.slot > 0)[..., None], rows, x)',
        'The first row of a prompt is the embedding of padding.',
        (_PLAIN + '[gemma3: prompt]',),
    ),
    Mutation(
        'all-read-the-first-owner-s-prompt',
        _TUNED,
        'owner = jnp.maximum(whose, 0)',
        'owner = jnp.minimum(whose, 0)',
        'A cohort trains one prompt, and personalization does nothing.',
        (_PLAIN + '[gemma3: prompt]',),
    ),
    Mutation(
        'a-prefix-of-an-encoder-is-copied-for-every-example',
        _TUNED,
        'shared = causal or not kind.attends_to_text\n',
        'shared = causal\n',
        'Rows of T5 and RoBERTa hold copies of the prefix, and fewer texts.',
        ('tests/kinds_test.py::test_what_reads_the_text_is_not_shared',),
    ),
    Mutation(
        'positions-count-slots-that-have-none',
        _TUNED,
        '            kind.first_position,\n',
        '            kind.slots,\n',
        "FedSP's prefix is FedPepTAO's, under the wrong name.",
        (_PLAIN + '[gemma3: prefix, kept]',),
    ),
    Mutation(
        'a-whole-model-computes-in-f32',
        _TUNED,
        'x[0, 0].astype(b.dtype), whole, base',
        'x[0, 0], whole, base',
        'Full fine-tuning of a bfloat16 model takes twice the memory.',
        ('tests/kinds_test.py::test_a_whole_model_computes_in_its_dtype',),
    ),
    Mutation(
        'layers-and-owners-are-swapped',
        _TUNED,
        'jnp.moveaxis(x, 2, 0), trained)',
        'jnp.moveaxis(x, 1, 0), trained)',
        "A layer takes a client's parameters for its own.",
        (_PLAIN + '[gpt2: ia3]',),
    ),
)
