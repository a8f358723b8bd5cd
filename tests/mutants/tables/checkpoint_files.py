"""Mistakes in what is read of, and written into, a model's files."""

from tests.mutants.mutation import Mutation

_MODELS = 'fedprompt_jax/models/'
_WEIGHTS = _MODELS + 'weights.py'
_SHARDS = _MODELS + 'shards.py'
_HUB = _MODELS + 'hub.py'
_TOKENIZER = _MODELS + 'tokenizer.py'
_FILES = _MODELS + 'tokenizer_files.py'
_SPECIAL = _MODELS + 'special_ids.py'
_GGUF = _MODELS + 'gguf_files/'
_ARCHS = _GGUF + 'archs/'
_INTACT = 'fedprompt_jax/intact.py'

MUTATIONS = (
    # Weights
    Mutation(
        'every-layer-is-the-first',
        _WEIGHTS,
        'parts = [slots[path, i] for i in layers if (path, i) in slots]',
        'parts = [slots[path, 0] for i in layers if (path, i) in slots]',
        'A model of one layer, repeated.',
        ('tests/weights_test.py::test_every_leaf_is_its_tensor',),
    ),
    Mutation(
        'layers-by-their-names-order',
        _WEIGHTS,
        'parts = [slots[path, i] for i in layers if (path, i) in slots]',
        """parts = [
            slots[path, i]
            for i in sorted(layers, key=str)
            if (path, i) in slots
        ]""",
        'Layer 10 stands behind layer 1.',
        ('tests/weights_test.py::test_layers_are_in_the_order_of_numbers',),
    ),
    Mutation(
        'a-piece-is-skipped',
        _WEIGHTS,
        'for start in range(0, tensor.shape[0], step):',
        'for start in range(0, tensor.shape[0] - step + 1, step):',
        'The last rows of a large tensor are whatever memory held.',
        ('tests/weights_test.py::test_large_tensors_come_in_pieces',),
    ),
    Mutation(
        'a-tensor-without-a-place-is-ignored',
        _WEIGHTS,
        "faults.append(f'unexpected: {name} {tensor.shape}')",
        'pass',
        'Biases that the config does not have are left out in silence.',
        ('tests/weights_test.py::test_all_faults_are_listed_at_once',),
    ),
    Mutation(
        'a-tensor-of-another-shape-is-taken',
        _WEIGHTS,
        'elif tensor.shape != needed:',
        'elif len(tensor.shape) != len(needed):',
        'A vector of one number fills a whole leaf.',
        ('tests/weights_test.py::test_all_faults_are_listed_at_once',),
    ),
    Mutation(
        'the-later-of-two-tensors-wins',
        _WEIGHTS,
        """        other = slots.setdefault(place, tensor)
""",
        """        slots[place] = other = tensor
""",
        'Which of two tensors is read depends on the order of files.',
        ('tests/weights_test.py::test_all_faults_are_listed_at_once',),
    ),
    Mutation(
        'integers-are-weights',
        _WEIGHTS,
        "_DTYPES = ('F32', 'BF16', 'F16', 'F64')",
        "_DTYPES = ('F32', 'BF16', 'F16', 'F64', 'I8')",
        'Packed integers are read as weights.',
        ('tests/weights_test.py::test_all_faults_are_listed_at_once',),
    ),
    Mutation(
        'a-tied-head-is-not-compared',
        _WEIGHTS,
        'if original is tensor or _equal(files, tensor, original):',
        'if original is tensor or tensor.shape == original.shape:',
        'A head that was trained is left out.',
        (
            'tests/weights_test.py::'
            'test_recomputed_and_repeated_tensors_are_tolerated',
        ),
    ),
    Mutation(
        'a-copy-fills-nothing',
        _WEIGHTS,
        """            copies.append(_Copy(name, copied, tensor))
""",
        '',
        'A tied table under its other name is not found.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_a_tied_table_under_another_of_its_names',
        ),
    ),
    Mutation(
        'the-index-is-not-asked',
        _WEIGHTS,
        """            if listed.get(name, shard.name) != shard.name:
                continue
""",
        '',
        'A tensor in two shards is refused, or the wrong one read.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_of_a_tensor_in_two_shards_the_index_s_is_read',
        ),
    ),
    Mutation(
        'float16-overflows',
        _WEIGHTS,
        'if dtype == np.float16 and not np.isfinite(buffer).all():',
        'if dtype == np.float16 and np.isnan(buffer).any():',
        'A model in float16 has infinite weights.',
        ('tests/weights_test.py::test_float16_never_overflows_silently',),
    ),
    Mutation(
        'int8-of-untransposed-kernels',
        _WEIGHTS,
        """        _fill(one.T if leaf.transpose else one, files, tensor)
        kernel[layer], scale[layer] = quantization_lib.quantize(one)
""",
        """        _fill(one.T if leaf.transpose else one, files, tensor)
        kernel[layer], scale[0] = quantization_lib.quantize(one)
""",
        'Scales of all but one layer are whatever memory held.',
        (
            'tests/quantization_test.py::'
            'test_kernels_of_layers_are_near_their_integers_and_the_rest_is_'
            'itself',
        ),
    ),
    Mutation(
        'sharding-forgotten',
        _WEIGHTS,
        """        placed = jax.make_array_from_callback(
            array.shape, sharding, lambda index: array[index]
        )
""",
        """        placed = jax.device_put(array)
""",
        'Every device holds the whole model.',
        ('tests/weights_test.py::test_sharding_function_places_every_leaf',),
    ),
    # Shards and fingerprints
    Mutation(
        'old-shards-come-first',
        _SHARDS,
        """    if (folder / 'model.safetensors').exists():
        return [folder / 'model.safetensors']
    if not""",
        """    if (folder / 'model.safetensors').exists() and not (
        folder / _INDEX
    ).exists():
        return [folder / 'model.safetensors']
    if not""",
        'The file that transformers loads is not the one read.',
        ('tests/weights_test.py::test_a_whole_file_comes_before_shards',),
    ),
    Mutation(
        'absent-shards-are-skipped',
        _SHARDS,
        'names = sorted(set(weight_map(folder).values()))',
        """names = sorted(
        {n for n in weight_map(folder).values() if (folder / n).exists()}
    )""",
        'An absent shard is reported as hundreds of missing tensors.',
        ('tests/weights_test.py::test_absent_and_broken_shards_are_named',),
    ),
    Mutation(
        'longer-files-are-whole',
        _SHARDS,
        'if end != size:',
        'if end > size:',
        'A file with something behind its tensors is taken for whole.',
        ('tests/weights_test.py::test_a_shard_is_as_long_as_its_header_says',),
    ),
    Mutation(
        'cut-files-are-whole',
        _SHARDS,
        'if end != size:',
        'if end < size:',
        'A download that was cut is found late, or not at all.',
        ('tests/weights_test.py::test_a_shard_is_as_long_as_its_header_says',),
    ),
    Mutation(
        'notes-of-shared-tensors-are-ignored',
        _SHARDS,
        'if stored in header and name not in header',
        'if stored in header and name in header',
        "A tied table, as safetensors' save_model stores it, is missing.",
        (
            'tests/checkpoint_forms_test.py::'
            'test_layers_that_share_a_tensor_are_stored_once',
        ),
    ),
    Mutation(
        'fingerprint-without-merges',
        _SHARDS,
        """    'merges.txt',
    'model.safetensors.index.json',
""",
        """    'model.safetensors.index.json',
""",
        'A model with another tokenizer counts as the same.',
        ('tests/digests_test.py::test_every_file_of_a_model_counts',),
    ),
    Mutation(
        'fingerprint-of-one-shard',
        _SHARDS,
        'small if path.exists()), *shard_paths(folder)]',
        'small if path.exists()), *shard_paths(folder)[:1]]',
        'A model with other weights counts as the same.',
        ('tests/digests_test.py::test_any_byte_of_a_model_counts',),
    ),
    Mutation(
        'fingerprint-of-its-place',
        _SHARDS,
        "f'{path.name} {digest}\\n'",
        "f'{path} {digest}\\n'",
        'A run does not resume where the model lies elsewhere.',
        (
            'tests/weights_test.py::'
            'test_fingerprint_follows_the_content_not_the_place',
        ),
    ),
    Mutation(
        'pickles-of-a-kind-by-the-wrong-class',
        _SHARDS,
        "**dict.fromkeys(('roberta', 'xlm-roberta'), 'AutoModelForMaskedLM'),",
        "**dict.fromkeys(('bert',), 'AutoModelForMaskedLM'),",
        "The command in the message leaves RoBERTa's head out.",
        (
            'tests/weights_test.py::'
            'test_the_conversion_of_pickles_is_of_the_model_s_kind',
        ),
    ),
    # The hub
    Mutation(
        'revision-ignored',
        _HUB,
        'revision=name.revision,',
        'revision=None,',
        'Another version of the model is trained than the one named.',
        ('tests/hub_test.py::test_a_revision_and_its_files_are_asked_for',),
    ),
    Mutation(
        'merges-stay-on-the-hub',
        _HUB,
        """    'vocab.json',
    'merges.txt',
""",
        """    'vocab.json',
""",
        'Models without tokenizer.json have no tokenizer.',
        ('tests/hub_test.py::test_a_revision_and_its_files_are_asked_for',),
    ),
    Mutation(
        'pickles-are-fetched',
        _HUB,
        "'model*.safetensors',",
        "'*model*',",
        'Gigabytes are downloaded and never read.',
        ('tests/hub_test.py::test_a_revision_and_its_files_are_asked_for',),
    ),
    Mutation(
        'deep-paths-are-hub-names',
        _HUB,
        r"_NAME = re.compile(rf'({_PART}/{_PART})(?:@([\w./-]+))?')",
        r"_NAME = re.compile(rf'({_PART}(?:/{_PART})+)(?:@([\w./-]+))?')",
        'A mistyped path is looked for on the internet.',
        ('tests/hub_test.py::test_names_are_told_from_paths',),
    ),
    Mutation(
        'half-a-cache-is-taken',
        _HUB,
        """    shards.shard_paths(folder)  # every one is there
""",
        '',
        'A download that was cut is found later, with no fix.',
        ('tests/hub_test.py::test_half_a_cache_is_refused',),
    ),
    # Tokenizers
    Mutation(
        'bos-is-always-added',
        _TOKENIZER,
        'return [[*(self.starts if bos else ()), *row] for row in rows]',
        'return [[*self.starts, *row] for row in rows]',
        'Answers begin with the token that begins a text.',
        (
            'tests/tokenizer_test.py::'
            'test_bos_comes_only_where_the_model_adds_it_and_eos_never',
        ),
    ),
    Mutation(
        'padding-is-token-0',
        _TOKENIZER,
        'pad_id=eos_ids[0] if pad_id is None else pad_id,',
        'pad_id=pad_id or 0,',
        'A model without padding pads with a word.',
        (
            'tests/tokenizer_test.py::'
            'test_missing_padding_token_is_the_end_of_text_and_said',
        ),
    ),
    Mutation(
        'stored-truncation-stays',
        _TOKENIZER,
        '        backend.no_truncation()\n',
        '',
        'Queries are cut to a length that a file happens to name.',
        (
            'tests/tokenizer_test.py::test_stored_truncation_and_padding_are_off',
        ),
    ),
    Mutation(
        'data-may-spell-special-tokens',
        _TOKENIZER,
        'backend.encode_special_tokens = True\n        return cls(',
        'backend.encode_special_tokens = False\n        return cls(',
        'A text of the data ends a turn.',
        (
            'tests/special_tokens_test.py::test_data_never_spell_a_special_token',
        ),
    ),
    Mutation(
        'a-template-loses-its-tokens-beside-spelled-ones',
        _TOKENIZER,
        'rows[i] = self._encode_between(texts[i])',
        'pass',
        'A template whose data spell its tokens loses its own.',
        (
            'tests/special_tokens_test.py::test_a_template_may_spell_special_'
            'tokens_and_its_data_may_not',
        ),
    ),
    Mutation(
        'vocab-size-counts-added-tokens',
        _TOKENIZER,
        'ids = self.backend.get_vocab(with_added_tokens=False).values()',
        'ids = self.backend.get_vocab(with_added_tokens=True).values()',
        'A model with added words beyond its table is refused.',
        (
            'tests/tokenizer_test.py::'
            'test_words_that_were_added_later_are_not_in_the_vocabulary_'
            's_size',
        ),
    ),
    Mutation(
        'starts-hold-the-end',
        _TOKENIZER,
        'return tuple(whole[:first])',
        'return tuple(whole[: len(whole) - len(text)])',
        'Queries begin with the token that ends a text.',
        (
            'tests/special_tokens_test.py::'
            'test_what_stands_before_a_text_is_the_post_processor_s',
        ),
    ),
    Mutation(
        'fingerprint-without-special-ids',
        _TOKENIZER,
        'text = self.backend.to_str() + repr(ids)',
        'text = self.backend.to_str()',
        'Tokens are cached that end with another token.',
        (
            'tests/tokenizer_test.py::'
            'test_fingerprint_knows_vocabulary_and_special_ids',
        ),
    ),
    Mutation(
        'fingerprint-without-the-mask',
        _TOKENIZER,
        'if self.mask_id is not None:',
        'if self.mask_id is None:',
        'Tokens are cached that are predicted at another token.',
        ('tests/objectives_test.py::test_another_mask_is_another_tokenizer',),
    ),
    Mutation(
        'spaces-swallowed-on-the-wrong-side',
        _TOKENIZER,
        """'rstrip') for token in before):
                part = part.lstrip()
            if any(self._swallows(token, 'lstrip') for token in after):
""",
        """'lstrip') for token in before):
                part = part.lstrip()
            if any(self._swallows(token, 'rstrip') for token in after):
""",
        "Text beside RoBERTa's mask is not what it was trained on.",
        (
            'tests/special_tokens_test.py::'
            'test_a_mask_swallows_the_space_before_it_beside_spelled_ones',
        ),
    ),
    Mutation(
        'decoded-texts-hold-special-tokens',
        _TOKENIZER,
        'return self.backend.decode_batch(ids, skip_special_tokens=True)',
        'return self.backend.decode_batch(ids, skip_special_tokens=False)',
        'ROUGE counts <|pad|> as a word.',
        ('tests/tokenizer_test.py::test_special_tokens_are_not_in_the_text',),
    ),
    Mutation(
        'unknown-letters-are-special',
        _TOKENIZER,
        'return frozenset(self._special) - {self.unk_id}',
        'return frozenset(self._special)',
        'Texts with unknown letters are cut where they are not.',
        (
            'tests/special_tokens_test.py::'
            'test_a_unigram_text_with_a_special_token_gets_no_space',
        ),
    ),
    Mutation(
        'shorter-special-tokens-come-first',
        _TOKENIZER,
        'key=lambda word: (-len(word), word))',
        'key=lambda word: (len(word), word))',
        'Of two special tokens that begin alike, the wrong one is found.',
        (
            'tests/tokenizer_test.py::'
            'test_of_two_special_tokens_at_a_place_the_longer_is_meant',
        ),
    ),
    Mutation(
        'pieces-keep-their-space-marks',
        _TOKENIZER,
        "return [t.lstrip('Ġ▁') for t in tokens if t.lstrip('Ġ▁')]",
        "return [t for t in tokens if t.lstrip('Ġ▁')]",
        'ROUGE-L of other languages depends on spaces.',
        ('tests/tokenizer_test.py::test_pieces_are_without_their_space_marks',),
    ),
    Mutation(
        'tokenizer-json-is-always-the-truth',
        _FILES,
        'if whole and general and model_type not in _OWN_CLASS:',
        'if whole:',
        'Texts lack the token that transformers puts before them.',
        (
            'tests/special_tokens_test.py::test_whether_a_text_begins_with_bos_'
            'is_transformers_to_say',
        ),
    ),
    Mutation(
        'a-class-that-does-not-load-is-fatal',
        _FILES,
        """        if not whole:
            raise""",
        """        if True:
            raise""",
        'A folder with a sound tokenizer.json is refused.',
        (
            'tests/tokenizer_test.py::'
            'test_where_transformers_fails_tokenizer_json_is_used_and_it_'
            'is_said',
        ),
    ),
    Mutation(
        'qwen2-has-the-general-class',
        _FILES,
        "_OWN_CLASS = ('qwen2',)",
        "_OWN_CLASS = ('none',)",
        'Texts of Qwen 2 are split as transformers does not.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_a_model_type_with_a_class_of_its_own_is_read_by_it',
        ),
    ),
    Mutation(
        'gguf-tokenizers-are-qwen-s',
        _FILES,
        "if whole and config.get(MADE_FROM) == 'GGUF':",
        "if whole and config.get(MADE_FROM) == 'gguf':",
        'Texts of a converted model are split as another model does.',
        (
            'tests/gguf_tokenizer_test.py::'
            'test_a_converted_tokenizer_is_split_as_its_file_says',
        ),
    ),
    Mutation(
        'named-tokens-are-no-tokens',
        _FILES,
        'backend.add_special_tokens([t for t in names if t not in known])',
        'del known, names',
        'A token that the files name is read as text.',
        (
            'tests/tokenizer_test.py::'
            'test_a_named_token_of_the_vocabulary_is_special',
        ),
    ),
    Mutation(
        'special-tokens-map-is-not-read',
        _FILES,
        "named = config | read_json(folder / 'special_tokens_map.json')",
        'named = config',
        'Older folders have no special tokens.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_an_older_folder_names_its_special_tokens_in_their_map',
        ),
    ),
    Mutation(
        'added-tokens-json-is-not-read',
        _FILES,
        "    added |= read_json(folder / 'added_tokens.json').keys()\n",
        '',
        'A token that the model knows counts as lacking.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_a_padding_token_that_another_file_adds_is_the_model_s',
        ),
    ),
    Mutation(
        'a-cut-list-of-merges-is-read',
        _FILES,
        """    elif present == ['vocab.json']:
        bpe_files.require_whole(folder)
""",
        '',
        'A download that was cut is another tokenizer.',
        (
            'tests/model_damage_test.py::'
            'test_a_cut_vocabulary_or_list_of_merges_is_refused',
        ),
    ),
    # Special ids
    Mutation(
        'config-json-comes-first',
        _SPECIAL,
        "for name in ('generation_config.json', 'config.json'):",
        "for name in ('config.json', 'generation_config.json'):",
        'Chat models write on behind the end of their turn.',
        (
            'tests/tokenizer_test.py::test_every_end_of_generation_is_known_'
            'the_tokenizers_own_first',
        ),
    ),
    Mutation(
        'one-end-alone',
        _SPECIAL,
        'ids = dict.fromkeys(known if first is None else [first, *known])',
        'ids = dict.fromkeys(known if first is None else [first])',
        'Chat models write on behind the end of their turn.',
        (
            'tests/tokenizer_test.py::test_every_end_of_generation_is_known_'
            'the_tokenizers_own_first',
        ),
    ),
    Mutation(
        'the-model-s-end-first',
        _SPECIAL,
        'ids = dict.fromkeys(known if first is None else [first, *known])',
        'ids = dict.fromkeys(known if first is None else [*known, first])',
        'Targets end with another token than that of the tokenizer.',
        (
            'tests/tokenizer_test.py::test_every_end_of_generation_is_known_'
            'the_tokenizers_own_first',
        ),
    ),
    Mutation(
        'minus-one-is-an-id',
        _SPECIAL,
        'ids = [i for i in listed if type(i) is int and i >= 0]',
        'ids = [i for i in listed if type(i) is int]',
        'A config with -1 where there is no token ends in an OverflowError.',
        (
            'tests/tokenizer_test.py::'
            'test_missing_padding_token_is_the_end_of_text_and_said',
        ),
    ),
    Mutation(
        'tokens-beyond-the-table-are-known',
        _SPECIAL,
        'return self.rows is None or i < self.rows',
        'return True',
        'Padding reads beyond the table.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_a_padding_token_beyond_the_table_is_in_no_text',
        ),
    ),
    Mutation(
        'a-misspelt-end-is-ignored',
        _SPECIAL,
        """        if first is None:
            self._refuse_misspelt_end()
""",
        '',
        'Targets end with another token than the one named.',
        ('tests/tokenizer_test.py::test_a_misspelt_end_is_refused',),
    ),
    # Vocabularies
    Mutation(
        'unigram-finds-special-pieces',
        _MODELS + 'unigram.py',
        "vocabulary[i][0] = f'\\0{i}\\0'",
        'pass',
        'A text that spells an end gets spaces that it does not have.',
        (
            'tests/special_tokens_test.py::'
            'test_a_unigram_text_with_a_special_token_gets_no_space',
        ),
    ),
    Mutation(
        'unigram-loses-its-added-words',
        _MODELS + 'unigram.py',
        """    content['added_tokens'] = [
        token for token in content['added_tokens'] if not token['special']
    ]
""",
        """    content['added_tokens'] = []
""",
        'Added words of a vocabulary are cut into pieces.',
        (
            'tests/special_tokens_test.py::'
            'test_an_added_word_of_a_unigram_vocabulary_stays_whole',
        ),
    ),
    Mutation(
        'a-cut-sentencepiece-model-is-whole',
        _MODELS + 'sentencepiece_file.py',
        'if not {_TRAINER, _NORMALIZER} <= _fields(content):',
        'if not {_TRAINER} <= _fields(content):',
        'A download that was cut is another tokenizer.',
        (
            'tests/model_damage_test.py::'
            'test_a_cut_sentencepiece_model_is_refused',
        ),
    ),
    Mutation(
        'numbers-of-eight-bits',
        _MODELS + 'sentencepiece_file.py',
        'place, shift = place + 1, shift + 7',
        'place, shift = place + 1, shift + 8',
        'Whole models with long pieces are refused.',
        ('tests/model_damage_test.py::test_long_pieces_and_fields_are_whole',),
    ),
    Mutation(
        'cut-merges-are-whole',
        _MODELS + 'bpe_files.py',
        'if odd or lacking or not made <= vocabulary.keys():',
        'if odd or not made <= vocabulary.keys():',
        'A download that was cut is another tokenizer.',
        (
            'tests/model_damage_test.py::'
            'test_a_vocabulary_is_what_its_merges_make',
        ),
    ),
    Mutation(
        'cut-vocabularies-are-whole',
        _MODELS + 'bpe_files.py',
        'if odd or lacking or not made <= vocabulary.keys():',
        'if odd or lacking:',
        'Merges lead to words without an id.',
        (
            'tests/model_damage_test.py::'
            'test_a_vocabulary_is_what_its_merges_make',
        ),
    ),
    Mutation(
        'written-kernels-are-not-transposed',
        _MODELS + 'export.py',
        'yield rule.example(layer), x.T if rule.transpose else x',
        'yield rule.example(layer), x',
        'What was trained is not what transformers loads.',
        ('tests/full_test.py::test_what_is_trained_is_a_checkpoint',),
    ),
    Mutation(
        'written-in-another-dtype',
        _MODELS + 'export.py',
        'np.asarray(x).astype(dtype)',
        'np.asarray(x)',
        'What was trained is twice as large on disk as asked.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_a_written_model_has_the_dtype_asked_for',
        ),
    ),
    Mutation(
        'written-without-the-tokenizer',
        _MODELS + 'export.py',
        """    'tokenizer*',
""",
        '',
        'What was trained does not load.',
        ('tests/full_test.py::test_what_is_trained_is_a_checkpoint',),
    ),
    Mutation(
        'written-without-the-merges',
        _MODELS + 'export.py',
        """    'merges.txt',
""",
        '',
        'What was trained has no tokenizer.',
        (
            'tests/checkpoint_forms_test.py::'
            'test_a_written_model_has_all_files_of_its_tokenizer',
        ),
    ),
    # Files and their hashes
    Mutation(
        'digest-without-the-change-time',
        'fedprompt_jax/digests.py',
        "        'ctime_ns': stat.st_ctime_ns,\n",
        '',
        'A model that was copied over another is taken for it.',
        (
            'tests/digests_test.py::'
            'test_same_path_size_and_time_with_other_bytes',
        ),
    ),
    Mutation(
        'digest-of-a-file-that-may-still-change',
        'fedprompt_jax/digests.py',
        'if _state(path) == before and age > SETTLED:',
        'if _state(path) == before:',
        'A file that changes again within a tick keeps its hash.',
        (
            'tests/digests_test.py::'
            'test_what_changed_a_moment_ago_is_not_remembered',
        ),
    ),
    Mutation(
        'digest-of-a-file-that-changed-meanwhile',
        'fedprompt_jax/digests.py',
        """    if _state(path) == before and age > SETTLED:
        _write(place, {'state': before, 'sha256': digest})
""",
        """    if age > SETTLED:
        _write(place, {'state': _state(path), 'sha256': digest})
""",
        'A file that changes while it is read keeps the old hash.',
        (
            'tests/digests_test.py::test_a_file_that_changes_while_it_is_read_'
            'is_not_remembered',
        ),
    ),
    Mutation(
        'digests-by-name',
        'fedprompt_jax/digests.py',
        'name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:20]',
        'name = path.name',
        'Two models whose files are named alike are hashed at every start.',
        (
            'tests/digests_test.py::'
            'test_two_files_of_one_name_are_both_remembered',
        ),
    ),
    Mutation(
        'a-damaged-digest-is-believed',
        'fedprompt_jax/digests.py',
        "return known if {'state', 'sha256'} <= known.keys() else None",
        'return known',
        'A run ends in a KeyError.',
        ('tests/digests_test.py::test_a_damaged_memory_is_no_memory',),
    ),
    Mutation(
        'pointers-are-data',
        _INTACT,
        '        if path.stat().st_size:\n',
        '        if not path.stat().st_size:\n',
        'A pointer of Git LFS is reported as a damaged table.',
        ('tests/tables_test.py::test_what_downloads_leave_is_named',),
    ),
    Mutation(
        'pointers-are-files',
        _INTACT,
        '    if head.startswith(_LFS):\n',
        '    if head == _LFS:\n',
        'A pointer of Git LFS is refused without saying what it is.',
        (
            'tests/gguf_damage_test.py::'
            'test_another_file_in_its_place_is_recognised',
        ),
    ),
    Mutation(
        'pages-begin-at-once',
        _INTACT,
        'if head.lstrip(_BLANK).lower().startswith(_HTML):',
        'if head.lower().startswith(_HTML):',
        'A page that asks to log in is refused without saying what it is.',
        (
            'tests/gguf_damage_test.py::'
            'test_another_file_in_its_place_is_recognised',
        ),
    ),
    Mutation(
        'json-with-a-mark-is-damaged',
        _INTACT,
        "value = json.loads(path.read_bytes().decode('utf-8-sig'))",
        "value = json.loads(path.read_bytes().decode('utf-8'))",
        'A config.json that Windows saved is refused.',
        ('tests/intact_test.py::test_a_byte_order_mark_is_no_damage',),
    ),
    Mutation(
        'lists-are-objects',
        _INTACT,
        'if not isinstance(value, dict):',
        'if not isinstance(value, dict | list):',
        'A config.json that is a list ends in an AttributeError.',
        ('tests/intact_test.py::test_what_is_no_object_is_refused',),
    ),
    Mutation(
        'failures-stay-on-the-disk',
        'fedprompt_jax/files.py',
        """    finally:
        shutil.rmtree(temporary, ignore_errors=True)
""",
        """    finally:
        pass
""",
        'Conversions that failed fill the disk.',
        ('tests/files_test.py::test_a_failure_leaves_nothing',),
    ),
    Mutation(
        'the-slower-of-two-wins',
        'fedprompt_jax/files.py',
        """        except OSError:  # a folder with files in it is not replaced
            if not path.exists():
                raise
""",
        """        except OSError:  # a folder with files in it is not replaced
            shutil.rmtree(path)
            os.replace(temporary, path)
""",
        'A folder that another process reads is removed.',
        ('tests/files_test.py::test_the_faster_of_two_stays',),
    ),
    Mutation(
        'folders-of-the-living-are-swept',
        'fedprompt_jax/files.py',
        'if not _alive(int(left.name.split',
        'if _alive(int(left.name.split',
        'A conversion is removed while it runs.',
        (
            'tests/files_test.py::test_what_the_killed_left_is_swept_and_no_other',
        ),
    ),
    Mutation(
        'fingerprint-without-names',
        'fedprompt_jax/digests.py',
        "total.update(f'{path.name} {file_sha256(path)}\\n'.encode())",
        "total.update(f'{file_sha256(path)}\\n'.encode())",
        'Files that swap their names are the same data.',
        (
            'tests/files_test.py::'
            'test_a_fingerprint_is_of_names_contents_and_order',
        ),
    ),
    Mutation(
        'hidden-files-are-data',
        'fedprompt_jax/files.py',
        'parts = file.relative_to(folder).parts',
        'parts = (file.name,)',
        "A notebook's copies of the data are read twice.",
        (
            'tests/tables_test.py::'
            'test_visible_files_are_those_without_a_dot_below_the_folder',
        ),
    ),
    Mutation(
        'files-in-the-order-of-the-disk',
        'fedprompt_jax/files.py',
        'return sorted(f for f in paths if is_data(f) and f.is_file())',
        'return [f for f in paths if is_data(f) and f.is_file()]',
        'Two machines read the data in two orders.',
        (
            'tests/files_test.py::'
            'test_visible_files_are_in_the_order_of_their_names',
        ),
    ),
    # GGUF: architectures
    Mutation(
        'gguf-architecture-by-its-module',
        _ARCHS + '__init__.py',
        'return known[file.arch]',
        "return known['llama']",
        'GPT-2 is read as a Llama.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[gpt2]',
        ),
    ),
    Mutation(
        'gguf-gemma-norms-keep-their-one',
        _ARCHS + 'gemma.py',
        "'output_norm.weight': Tensor('model.norm.weight', shift=-1.0),",
        "'output_norm.weight': Tensor('model.norm.weight'),",
        'Logits of a converted Gemma are scaled by another norm.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[gemma]',
        ),
    ),
    Mutation(
        'gguf-gemma-27b-scale-forgotten',
        _ARCHS + 'gemma.py',
        """    if layers == _LAYERS_OF_27B[arch]:
        scalar = fields['hidden_size'] // fields['num_attention_heads']
""",
        '',
        'A converted Gemma of 27B is another model.',
        (
            'tests/gguf_archs_test.py::'
            'test_the_largest_gemma_scales_its_queries_by_its_width',
        ),
    ),
    Mutation(
        'gguf-gemma-caps-swapped',
        _ARCHS + 'gemma.py',
        "for key in ('attn', 'final')",
        "for key in ('final', 'attn')",
        'A converted Gemma 2 is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[gemma2]',
        ),
    ),
    Mutation(
        'gguf-gemma-pattern-begins-with-a-global-layer',
        _ARCHS + 'gemma.py',
        'return [(i + 1) % period != 0 for i in range(layers)]',
        'return [i % period != 0 for i in range(layers)]',
        'A converted Gemma 2 has windows in other layers.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[gemma2]',
        ),
    ),
    Mutation(
        'gguf-gemma3-one-theta',
        _ARCHS + 'gemma.py',
        "local = file.real('rope.freq_base_swa', 10000.0, 1.0)",
        'local = 10000.0',
        'A converted Gemma 3 with other local waves is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[gemma3]',
        ),
    ),
    Mutation(
        'gguf-gpt2-kernels-as-they-are',
        _ARCHS + 'gpt2.py',
        "transpose=name.endswith('.weight') and 'norm' not in name",
        'transpose=False',
        'A converted GPT-2 is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[gpt2]',
        ),
    ),
    Mutation(
        'gguf-pythia-fused-rows-as-they-are',
        _ARCHS + 'gpt_neox.py',
        "order=rows if 'attn_qkv' in name else None)",
        'order=None)',
        'A converted Pythia is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[pythia]',
        ),
    ),
    Mutation(
        'gguf-pythia-is-always-parallel',
        _ARCHS + 'gpt_neox.py',
        "f'{file.arch}.use_parallel_residual', bool, True\n",
        "f'{file.arch}.parallel_residual', bool, True\n",
        'A converted model of serial layers is another one.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[neox_serial]',
        ),
    ),
    Mutation(
        'gguf-qwen-rows-are-interleaved',
        _ARCHS + 'llama.py',
        """    if file.arch == 'llama':
        counts""",
        """    if file.arch:
        counts""",
        'A converted Qwen is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[qwen2]',
        ),
    ),
    Mutation(
        'gguf-keys-with-the-queries-heads',
        _ARCHS + 'llama.py',
        "'attn_k': config['num_key_value_heads'],",
        "'attn_k': config['num_attention_heads'],",
        'A converted Llama with grouped keys is another model.',
        ('tests/gguf_import_test.py::test_the_original_comes_back',),
    ),
    Mutation(
        'gguf-mistral-is-a-llama',
        _ARCHS + 'llama.py',
        "kind = 'mistral' if window else str(file.arch)",
        'kind = str(file.arch)',
        'A converted Mistral is refused.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[mistral]',
        ),
    ),
    Mutation(
        'gguf-llama3-factors-ignored',
        _ARCHS + 'llama.py',
        'if scaling:\n',
        "if scaling and scaling['rope_type'] == 'linear':\n",
        'A converted Llama 3.1 is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[llama_31]',
        ),
    ),
    Mutation(
        'gguf-other-factors-are-llama3-s',
        _GGUF + 'rope_factors.py',
        'if not np.allclose(plain / factors, scaled, rtol=1e-5, atol=0):',
        'if not np.allclose(plain / factors, scaled, rtol=1e-5, atol=1):',
        'Another scaling is taken for that of Llama 3.',
        ('tests/gguf_import_test.py::test_other_rotary_factors_are_refused',),
    ),
    Mutation(
        'gguf-factor-of-the-middle',
        _GGUF + 'rope_factors.py',
        'factor = float(factors.max())',
        'factor = float(factors.min())',
        'A converted Llama 3.1 is refused.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[llama_31]',
        ),
    ),
    # GGUF: tensors
    Mutation(
        'gguf-rows-interleaved-the-other-way',
        _GGUF + 'tensors.py',
        'reshape(heads, head_dim // 2, 2)',
        'reshape(heads, 2, head_dim // 2)',
        'A converted Llama is another model.',
        ('tests/gguf_import_test.py::test_the_original_comes_back',),
    ),
    Mutation(
        'gguf-fused-parts-the-other-way',
        _GGUF + 'tensors.py',
        'reshape(3, heads, head_dim)',
        'reshape(heads, 3, head_dim)',
        'A converted Pythia is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[pythia]',
        ),
    ),
    Mutation(
        'gguf-other-tensors-are-ignored',
        _GGUF + 'tensors.py',
        'for name in sorted(present - wanted)',
        'for name in sorted(present - present)',
        'What the model does not compute is left out in silence.',
        (
            'tests/gguf_import_test.py::'
            'test_other_models_are_refused_and_leave_nothing',
        ),
    ),
    Mutation(
        'gguf-biases-ordered-as-they-are',
        _GGUF + 'convert.py',
        'yield values if rule.order is None else values[rule.order]',
        'yield values',
        'A converted Llama with biases is another model.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[llama_biased]',
        ),
    ),
    Mutation(
        'gguf-every-piece-is-the-first',
        _GGUF + 'convert.py',
        'where: Any = slice(start, start + step)',
        'where: Any = slice(0, step)',
        'Large tensors repeat their first rows.',
        ('tests/gguf_import_test.py::test_large_tensors_come_in_pieces',),
    ),
    Mutation(
        'gguf-zeros-lose-their-sign',
        _GGUF + 'convert.py',
        'return values + np.float32(rule.shift) if rule.shift else values',
        'return values + np.float32(rule.shift)',
        'A converted model is not the original to the bit.',
        ('tests/gguf_import_test.py::test_the_sign_of_zero_is_kept',),
    ),
    Mutation(
        'gguf-tied-is-a-constant',
        _GGUF + 'file.py',
        "return 'output.weight' not in self.shapes",
        'return True',
        'A head of its own is refused.',
        ('tests/gguf_import_test.py::test_a_head_that_is_given_is_not_tied',),
    ),
    Mutation(
        'gguf-linear-factor-ignored',
        _GGUF + 'file.py',
        "return {'rope_type': 'linear', 'factor': factor}",
        'return None',
        'A converted model with linear scaling is another one.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[llama_linear]',
        ),
    ),
    Mutation(
        'gguf-old-factor-ignored',
        _GGUF + 'file.py',
        "factor = self.real('rope.scaling.factor', old, 1.0)",
        "factor = self.real('rope.scaling.factor', 1.0, 1.0)",
        'Old files with linear scaling are another model.',
        (
            'tests/gguf_archs_test.py::'
            'test_old_files_have_their_linear_factor_under_another_key',
        ),
    ),
    Mutation(
        'gguf-keys-as-many-as-queries',
        _GGUF + 'file.py',
        "groups = self.size('attention.head_count_kv', heads)",
        'groups = heads',
        'Models with grouped queries are refused.',
        ('tests/gguf_import_test.py::test_the_original_comes_back',),
    ),
    Mutation(
        'gguf-heads-of-the-width',
        _GGUF + 'file.py',
        "head_dim = self.size('attention.key_length', max(1, width // heads))",
        'head_dim = max(1, width // heads)',
        'Gemma and Qwen 3 are refused.',
        (
            'tests/gguf_import_test.py::'
            'test_every_architecture_comes_back[qwen3]',
        ),
    ),
    Mutation(
        'gguf-logit-scale-ignored',
        _GGUF + 'file.py',
        """    'logit_scale': (None, 0.0, 1.0),
""",
        '',
        'Models whose logits are scaled are read as others.',
        (
            'tests/gguf_import_test.py::'
            'test_other_models_are_refused_and_leave_nothing',
        ),
    ),
    Mutation(
        'gguf-clamped-scores-ignored',
        _GGUF + 'file.py',
        """    'attention.clamp_kqv': (None, 0.0),
""",
        '',
        'Models whose scores are clamped are read as others.',
        (
            'tests/gguf_archs_test.py::'
            'test_settings_of_other_models_are_refused',
        ),
    ),
    Mutation(
        'gguf-shapes-are-not-compared',
        _GGUF + 'fit.py',
        'if shapes[name] != needed:',
        'if len(shapes[name]) != len(needed):',
        'A damaged file is found after minutes of conversion.',
        (
            'tests/gguf_damage_test.py::'
            'test_metadata_of_another_kind_is_refused',
        ),
    ),
    # GGUF: bytes
    Mutation(
        'gguf-dims-in-the-file-s-order',
        _GGUF + 'storage.py',
        'shape = info.dims[::-1]',
        'shape = info.dims',
        'Tensors are read with their axes swapped.',
        (
            'tests/gguf_damage_test.py::'
            'test_the_header_is_what_the_gguf_package_reads',
        ),
    ),
    Mutation(
        'gguf-rows-of-numbers-not-of-blocks',
        _GGUF + 'storage.py',
        'return info.dims[0] // block * size',
        'return info.dims[0] * size // 4',
        'Quantised files are refused.',
        (
            'tests/gguf_import_test.py::'
            'test_quantised_tensors_are_within_their_step',
        ),
    ),
    Mutation(
        'gguf-dropped-types-are-read',
        _GGUF + 'storage.py',
        'elif not _readable(kind):',
        'elif not kind + 1:',
        'Integers of a file end in an error of another package.',
        ('tests/gguf_damage_test.py::test_a_type_that_is_not_read_is_named',),
    ),
    Mutation(
        'gguf-alignment-ignored',
        _GGUF + 'storage.py',
        'value = header.fields.get(_ALIGNMENT, gguf.GGUF_DEFAULT_ALIGNMENT)',
        'value = gguf.GGUF_DEFAULT_ALIGNMENT',
        'Files with another alignment are refused.',
        ('tests/gguf_archs_test.py::test_tensors_may_be_aligned_otherwise',),
    ),
    Mutation(
        'gguf-more-than-its-tensors',
        _GGUF + 'storage.py',
        'if size > offset:  # (The last tensor may come without padding.)',
        'if size < 0:',
        'A file whose table lost a tensor is taken for sound.',
        (
            'tests/gguf_damage_test.py::'
            'test_tensors_fill_the_file_one_after_the_other',
        ),
    ),
    Mutation(
        'gguf-string-arrays-from-their-end',
        _GGUF + 'header.py',
        """        reader.at = start  # (That was the least that they need.)
""",
        '',
        'No file with a vocabulary is read.',
        ('tests/gguf_import_test.py::test_tokenizer_comes_back',),
    ),
    Mutation(
        'gguf-version-2-is-refused',
        _GGUF + 'header.py',
        '_VERSIONS = (2, 3)',
        '_VERSIONS = (3, 3)',
        'Older files are refused.',
        ('tests/gguf_damage_test.py::test_version_2_is_version_3',),
    ),
    Mutation(
        'gguf-any-byte-is-a-bool',
        _GGUF + 'header.py',
        'if kind == _BOOL and (values > 1).any():',
        'if kind == _BOOL and values.max(initial=0) < 0:',
        'A damaged list of layers with windows is another model.',
        ('tests/gguf_archs_test.py::test_truth_is_one_bit',),
    ),
    Mutation(
        'gguf-one-key-twice',
        _GGUF + 'header.py',
        '        if key in fields:\n',
        '        if key in ():\n',
        'Of two values of a key the last one counts in silence.',
        (
            'tests/gguf_archs_test.py::'
            'test_keys_are_there_once_and_can_be_shown',
        ),
    ),
    Mutation(
        'gguf-absent-sizes-are-one',
        _GGUF + 'metadata.py',
        """        if value is None:
            self.faults.append(f'{self.arch}.{key} is missing')
            return 1
        if type""",
        """        if value is None:
            return 1
        if type""",
        'A model of one layer is made of a file that lost a key.',
        (
            'tests/gguf_import_test.py::'
            'test_other_models_are_refused_and_leave_nothing',
        ),
    ),
    Mutation(
        'gguf-lists-of-anything',
        _GGUF + 'metadata.py',
        'if type(values) is not list or {type(x) for x in values} - {kind}:',
        'if type(values) is not list:',
        'A damaged vocabulary ends in a TypeError.',
        (
            'tests/gguf_damage_test.py::'
            'test_metadata_of_another_kind_is_refused',
        ),
    ),
    Mutation(
        'gguf-unsupported-settings-are-taken',
        _GGUF + 'metadata.py',
        'if value not in allowed:',
        'if value in ():',
        'Models that scale or clamp are read as others.',
        (
            'tests/gguf_archs_test.py::'
            'test_settings_of_other_models_are_refused',
        ),
    ),
    Mutation(
        'gguf-zero-is-a-number-from-one-on',
        _GGUF + 'metadata.py',
        '(short > 0 and short >= least):',
        'short >= 0:',
        'A base of 0 makes every wave NaN.',
        (
            'tests/gguf_damage_test.py::'
            'test_metadata_of_another_kind_is_refused',
        ),
    ),
    Mutation(
        'gguf-reals-in-all-their-digits',
        _GGUF + 'metadata.py',
        'short = float(str(np.float32(value)))',
        'short = float(value)',
        "An epsilon of 1e-05 is 9.999999747378752e-06, unlike HF's.",
        ('tests/gguf_import_test.py::test_the_original_comes_back',),
    ),
    Mutation(
        'gguf-beyond-the-end',
        _GGUF + 'reader.py',
        'if end > len(self.content):',
        'if start > len(self.content):',
        'A cut file ends in an error without its name.',
        ('tests/gguf_damage_test.py::test_a_cut_file_is_not_whole',),
    ),
    Mutation(
        'gguf-any-name',
        _GGUF + 'reader.py',
        'if not name.isprintable() or not 1 <= len(name) <= _LONGEST_NAME:',
        'if not 1 <= len(name) <= _LONGEST_NAME:',
        'An error message holds control characters.',
        (
            'tests/gguf_archs_test.py::'
            'test_keys_are_there_once_and_can_be_shown',
        ),
    ),
    # GGUF: tokenizers
    Mutation(
        'gguf-qwen2-splits-like-llama3',
        _GGUF + 'byte_level.py',
        "_QWEN2 = _LLAMA3.replace('{1,3}', '')",
        '_QWEN2 = _LLAMA3',
        'Numbers are other tokens than those the model was trained on.',
        ('tests/gguf_tokenizer_test.py::test_text_is_split_as_the_model_does',),
    ),
    Mutation(
        'gguf-pythia-does-not-compose',
        _GGUF + 'byte_level.py',
        "'olmo': _Split(nfc=True),",
        "'olmo': _Split(),",
        'Accents are other tokens than those the model was trained on.',
        ('tests/gguf_tokenizer_test.py::test_text_is_split_as_the_model_does',),
    ),
    Mutation(
        'gguf-llama3-has-no-bos',
        _GGUF + 'byte_level.py',
        "'llama-bpe': _Split(_LLAMA3, whole_words=True, adds_bos=True),",
        "'llama-bpe': _Split(_LLAMA3, whole_words=True),",
        'Queries lack the token that the model was trained with.',
        ('tests/gguf_tokenizer_test.py::test_text_is_split_as_the_model_does',),
    ),
    Mutation(
        'gguf-merges-by-age',
        _GGUF + 'sentencepiece.py',
        'word: (-score, i)',
        'word: (i, i)',
        'Words are other tokens than those the model was trained on.',
        ('tests/gguf_tokenizer_test.py::test_the_best_piece_is_made_first',),
    ),
    Mutation(
        'gguf-worst-piece-first',
        _GGUF + 'sentencepiece.py',
        'word: (-score, i)',
        'word: (score, i)',
        'Words are other tokens than those the model was trained on.',
        ('tests/gguf_tokenizer_test.py::test_the_best_piece_is_made_first',),
    ),
    Mutation(
        'gguf-no-space-before-a-text',
        _GGUF + 'sentencepiece.py',
        "prefix = file.field('tokenizer.ggml.add_space_prefix', bool, True)",
        "prefix = file.field('tokenizer.ggml.add_space_prefix', bool, False)",
        'The first word of a text is another token.',
        (
            'tests/gguf_tokenizer_test.py::'
            'test_sentencepiece_has_a_prefix_and_bos_unless_told',
        ),
    ),
    Mutation(
        'gguf-unknown-letters-are-unknown',
        _GGUF + 'sentencepiece.py',
        'byte_fallback=True,',
        'byte_fallback=False,',
        'Letters that are no piece are lost.',
        ('tests/gguf_tokenizer_test.py::test_sentencepiece_is_its_definition',),
    ),
    Mutation(
        'gguf-spaces-are-removed',
        _GGUF + 'sentencepiece.py',
        "steps.append(decoders.Strip(' ', 1, 0))",
        "steps.append(decoders.Strip(' ', 9, 0))",
        'Texts lose the spaces that they begin with.',
        ('tests/gguf_tokenizer_test.py::test_sentencepiece_is_its_definition',),
    ),
    Mutation(
        'gguf-byte-pieces-are-made',
        _GGUF + 'sentencepiece.py',
        'if kind == NORMAL\n',
        'if kind in (NORMAL, BYTE)\n',
        'The text <0x41> is the letter A.',
        ('tests/gguf_tokenizer_test.py::test_merges_make_no_byte_piece',),
    ),
    Mutation(
        'gguf-end-of-turn-forgotten',
        _GGUF + 'tokenizer.py',
        "('generation_config.json', ids | _turn_end(its.special)),",
        "('generation_config.json', ids),",
        'A converted chat model writes on behind the end of its turn.',
        (
            'tests/gguf_tokenizer_test.py::'
            'test_the_end_of_a_turn_ends_a_text_as_well',
        ),
    ),
    Mutation(
        'gguf-chat-template-forgotten',
        _GGUF + 'tokenizer.py',
        "config['chat_template'] = its.chat_template",
        'pass',
        'Who writes the model out loses the template of its chats.',
        ('tests/gguf_archs_test.py::test_the_template_of_a_chat_comes_along',),
    ),
    Mutation(
        'gguf-bos-where-the-file-forbids-it',
        _GGUF + 'tokenizer.py',
        """    if adds_bos is None:
        adds_bos = kind.adds_bos(file)
""",
        """    if not adds_bos:
        adds_bos = kind.adds_bos(file)
""",
        'Queries begin with a token that the model does not know there.',
        (
            'tests/gguf_tokenizer_test.py::'
            'test_bos_is_left_out_where_the_file_says_so',
        ),
    ),
    Mutation(
        'gguf-user-defined-tokens-are-special',
        _GGUF + 'tokenizer.py',
        'special=token_type != USER_DEFINED',
        'special=True',
        'Line breaks of Gemma are left out of its texts.',
        (
            'tests/gguf_tokenizer_test.py::'
            'test_user_defined_pieces_come_before_all_others',
        ),
    ),
    Mutation(
        'gguf-padding-forgotten',
        _GGUF + 'special_tokens.py',
        "_HF_NAMES = {'bos': 'bos', 'eos': 'eos', 'padding': 'pad'}",
        "_HF_NAMES = {'bos': 'bos', 'eos': 'eos', 'pad': 'pad'}",
        'A converted model pads with its end.',
        ('tests/gguf_import_test.py::test_tokenizer_comes_back',),
    ),
    Mutation(
        'gguf-ids-that-are-no-token-count',
        _GGUF + 'special_tokens.py',
        'ids = {kind: i for kind, i in named.items() if vocabulary.has(i)}',
        'ids = dict(named)',
        'A file with a wrong id ends in an IndexError.',
        (
            'tests/gguf_special_tokens_test.py::'
            'test_an_id_that_is_no_token_counts_as_absent',
        ),
    ),
    Mutation(
        'gguf-any-default-is-right',
        _GGUF + 'special_tokens.py',
        """        if vocabulary.words[i : i + 1] == [word] and (
            vocabulary.types[i] == CONTROL
        ):
""",
        """        if vocabulary.types[i] == CONTROL:
""",
        'Targets of Gemma end with its beginning.',
        (
            'tests/gguf_special_tokens_test.py::'
            'test_a_default_is_the_word_that_it_must_be',
        ),
    ),
    Mutation(
        'gguf-words-beyond-the-table',
        _GGUF + 'vocabulary.py',
        'if len(vocabulary.words) > rows:',
        'if len(vocabulary.words) > 2 * rows:',
        'Tokens beyond the table are read as its last row.',
        ('tests/gguf_archs_test.py::test_a_vocabulary_fits_its_table',),
    ),
    Mutation(
        'gguf-unused-words-are-tokens',
        _GGUF + 'vocabulary.py',
        'return 0 <= i < len(self.words) and self.types[i] != UNUSED',
        'return 0 <= i < len(self.words)',
        'A converted model has an end that no tokenizer file knows.',
        (
            'tests/gguf_special_tokens_test.py::'
            'test_a_text_does_not_end_with_a_word_that_is_not_in_use',
        ),
    ),
    Mutation(
        'gguf-control-tokens-are-words',
        _GGUF + 'vocabulary.py',
        'return kind in (UNKNOWN, CONTROL, USER_DEFINED)',
        'return kind in (UNKNOWN, USER_DEFINED)',
        'Special tokens of a template are cut into pieces.',
        ('tests/gguf_tokenizer_test.py::test_every_control_token_is_special',),
    ),
    Mutation(
        'gguf-one-word-twice',
        _GGUF + 'vocabulary.py',
        'if kind != UNUSED and first.setdefault(word, i) != i:',
        'if kind != UNUSED and first.setdefault(word, i) < 0:',
        'Of two ids of a word the last one counts in silence.',
        (
            'tests/gguf_damage_test.py::'
            'test_metadata_of_another_kind_is_refused',
        ),
    ),
)
