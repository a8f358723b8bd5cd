"""Mistakes in the programs of a run and in what is read of them."""

from tests.mutants.mutation import Mutation

ROOM = 'fedprompt_jax/planning'
PROGRAMS = f'{ROOM}/programs.py'
ROUND = f'{ROOM}/first_round.py'
HLO = f'{ROOM}/hlo.py'
COUNTS = f'{ROOM}/counts.py'
PRODUCTS = f'{ROOM}/products.py'
TRAFFIC = f'{ROOM}/traffic.py'
LAWS = f'{ROOM}/laws.py'
COMPILED = f'{ROOM}/compiled.py'
EXPECTED = f'{ROOM}/expected.py'
TEXT = f'{ROOM}/compiled_text.py'
TOPOLOGY = f'{ROOM}/topology.py'

LOWERING = 'tests/lowering_test.py'
CALLED = (f'{LOWERING}::test_a_run_calls_these_functions_with_these_arguments',)
PLACES = (f'{LOWERING}::test_what_lies_where',)
PARTS = (f'{LOWERING}::test_the_programs_are_those_of_the_parts_of_a_run',)
SMALL = (f'{LOWERING}::test_a_client_of_fedsp_computes_its_small_model',)
EXACT = (f'{LOWERING}::test_products_of_f32_are_exact_where_a_run_s_are',)
READ = 'tests/hlo_test.py'
RUNS = (f'{READ}::test_each_computation_runs_as_often_as_its_loops',)
MOVED = (f'{READ}::test_what_a_program_computes_moves_and_sends',)
LARGEST = (f'{READ}::test_the_largest_arrays_have_names',)
CONVOLUTIONS = (
    f'{READ}::test_operations_of_a_convolution_are_those_that_xla_counts',
)
MADE = 'tests/compiled_test.py'
PLANNED = (f'{MADE}::test_operations_are_those_that_are_planned',)
MEMORY = (f'{MADE}::test_memory_is_of_arguments_and_what_is_computed',)
HOLD = (f'{MADE}::test_all_laws_hold_of_every_program',)
SENT = (f'{MADE}::test_what_a_gradient_may_send',)
SHORT = (f'{MADE}::test_what_a_compiler_says_of_memory_is_a_sentence',)
DECODING = (f'{MADE}::test_a_step_of_decoding_is_what_comes_after_the_prefill',)
SLICES = (f'{MADE}::test_other_slices_are_faults',)

MUTATIONS = (
    Mutation(
        'programs-of-the-smallest-grid',
        PROGRAMS,
        'rows = max(shape.rows)',
        'rows = min(shape.rows)',
        'A run that does not fit would seem to.',
        (f'{LOWERING}::test_the_largest_grid_is_compiled',),
    ),
    Mutation(
        'programs-of-inexact-products',
        PROGRAMS,
        "return config.model.dtype == 'float32'",
        "return config.model.dtype != 'float32'",
        'Operations and seconds of a run in f32: a sixth of what they are.',
        EXACT,
    ),
    Mutation(
        'programs-whose-queries-lie-whole-everywhere',
        PROGRAMS,
        'of_queries = placed.rows(_bank(inputs.trained, rows))',
        'of_queries = placed.replicate(_bank(inputs.trained, rows))',
        'Memory and communication of decoding.',
        PLACES,
    ),
    Mutation(
        'programs-that-cut-the-layers-of-a-cache',
        PROGRAMS,
        'spec = PartitionSpec(*[None] * axis, *spec)',
        'spec = PartitionSpec(*spec)',
        'Memory and communication of decoding.',
        PLACES,
    ),
    Mutation(
        'programs-without-gathering',
        PROGRAMS,
        'gather = Gather(mesh) if config.mesh.fsdp else None',
        'gather = None',
        'Memory and communication with config.mesh.fsdp.',
        PLACES,
    ),
    Mutation(
        'programs-with-a-base-of-fsdp-always',
        PROGRAMS,
        'base_sharding(self.mesh, leaves, config.mesh.fsdp)',
        'base_sharding(self.mesh, leaves, True)',
        'Memory of a chip without config.mesh.fsdp.',
        PLACES,
    ),
    Mutation(
        'programs-without-remat',
        PROGRAMS,
        '        config.model.remat,\n        gather,',
        '        False,\n        gather,',
        'Memory and operations of a gradient with config.model.remat.',
        PLANNED,
    ),
    Mutation(
        'programs-score-prompts-of-another-cohort',
        PROGRAMS,
        'else config.personalization.clients',
        'else config.clients_per_round',
        'Memory of a bank that is scored.',
        CALLED,
    ),
    Mutation(
        'programs-that-always-distil',
        PROGRAMS,
        'if not c.distill_steps:',
        'if c.distill_steps < 0:',
        'Programs that the run does not have.',
        PARTS,
    ),
    Mutation(
        'programs-with-an-encoder-s-prompt-cache',
        PROGRAMS,
        'if model.transformer.config.encoder is not None:',
        'if model.transformer.config.encoder is None:',
        'Programs that the run does not have.',
        PARTS,
    ),
    Mutation(
        'a-recorded-server-that-is-never-reached',
        ROUND,
        "found['server_state'] = found['state']",
        "found['server_state'] = None",
        "The server's step is not compiled.",
        PARTS,
    ),
    Mutation(
        'recorded-steps-all-of-clients',
        ROUND,
        "_distinct([s for s in steps if s.tx is not found['spy']])",
        '_distinct(steps)',
        "The server's own steps count as clients'.",
        PARTS,
    ),
    Mutation(
        'a-recorded-client-of-fedsp-has-the-large-model',
        ROUND,
        'return Recorder(tuned, base, steps)',
        'return Recorder(model, base, steps)',
        'The small model of FedSP is compiled as the large one.',
        SMALL,
    ),
    Mutation(
        'a-loop-counts-once',
        HLO,
        'visit(called, often * rounds)',
        'visit(called, often)',
        'Operations, bytes and communication of a program.',
        RUNS,
    ),
    Mutation(
        'a-loop-starts-at-zero',
        HLO,
        'return last - (self._number(name, counter) or 0)',
        'return last',
        'Operations and bytes of decoding.',
        RUNS,
    ),
    Mutation(
        'memory-beside-the-units-is-the-main-memory',
        HLO,
        "re.search(r'S\\([1-9]', found['layout'] or '')",
        "re.search(r'S\\([7-9]', found['layout'] or '')",
        'Bytes that a program moves, so what bounds it.',
        MOVED,
    ),
    Mutation(
        'bf16-numbers-of-four-bytes',
        HLO,
        'return self.numbers * int(bits[0] if bits else 0) / 8',
        'return self.numbers * 4',
        'Bytes that a program moves and sends.',
        (f'{READ}::test_bytes_of_arrays',),
    ),
    Mutation(
        'a-product-s-operations-once',
        PRODUCTS,
        'return 2.0 * _multiply_adds(x, left, right)',
        'return 1.0 * _multiply_adds(x, left, right)',
        'Operations of a program on a TPU.',
        MOVED,
    ),
    Mutation(
        'a-dilated-convolution-reads-every-place',
        PRODUCTS,
        'found += at % spread == 0 and 0 <= at // spread < size',
        'found += 0 <= at // spread < size',
        'Operations of attention on a TPU, times the heads.',
        CONVOLUTIONS,
    ),
    Mutation(
        'a-fusion-reads-whole-operands',
        TRAFFIC,
        'return min(total, whole)',
        'return whole',
        "Bytes of a layer: those of all layers' kernels.",
        MOVED,
    ),
    Mutation(
        'a-row-that-is-replaced-is-a-whole-array',
        TRAFFIC,
        "if result.opcode == 'dynamic-update-slice':",
        "if result.opcode == 'never':",
        'Bytes of what a forward pass keeps: those of all layers a layer.',
        MOVED,
    ),
    Mutation(
        'collectives-count-at-their-end-too',
        COUNTS,
        "kind = x.opcode.removesuffix('-start')\n    return kind",
        "kind = x.opcode.removesuffix('-start').removesuffix('-done')\n"
        '    return kind',
        'Collectives of a program on a TPU, twice.',
        MOVED,
    ),
    Mutation(
        'the-smallest-arrays-are-named',
        COUNTS,
        'return sorted(found, reverse=True)[:most]',
        'return sorted(found)[:most]',
        'Which arrays take the memory.',
        LARGEST,
    ),
    Mutation(
        'laws-allow-f64',
        LAWS,
        'if _F64.search(text):',
        'if not text:',
        'A program that computes in f64 passes.',
        (f'{MADE}::test_f64_breaks_a_law',),
    ),
    Mutation(
        'laws-allow-any-number-of-sums',
        LAWS,
        "if (kinds := [_kind(x) for x in sent]) != ['all-reduce']:",
        "if (kinds := [_kind(x) for x in sent])[:1] != ['all-reduce']:",
        'A gradient that sends more than it must passes.',
        SENT,
    ),
    Mutation(
        'laws-allow-gathering',
        LAWS,
        'if gathers and summed and not fsdp:',
        'if gathers and summed and fsdp:',
        'A gradient that gathers the base passes.',
        SENT,
    ),
    Mutation(
        'laws-allow-donations-for-nothing',
        LAWS,
        'if aliased < donated:',
        'if aliased > donated:',
        'Memory that a caller gave away is not used again.',
        (f'{MADE}::test_a_donated_array_that_no_result_takes_breaks_a_law',),
    ),
    Mutation(
        'laws-of-the-first-chip-s-gradients-alone',
        EXPECTED,
        'return leaves[0].shape[0] + 1 + sum(x.size for x in leaves)',
        'return sum(x.size for x in leaves) - 1',
        'A gradient that is right would break a law.',
        (f'{MADE}::test_what_a_gradient_has_to_sum',),
    ),
    Mutation(
        'the-peak-without-temporaries',
        COMPILED,
        'peak = arguments + temporaries + memory.output_size_in_bytes',
        'peak = arguments + memory.output_size_in_bytes',
        'Whether a program fits a chip.',
        MEMORY,
    ),
    Mutation(
        'a-gradient-is-planned-without-remat',
        EXPECTED,
        'sizes, rows, length, targets, remat, whole, of_mlp',
        'sizes, rows, length, targets, False, whole, of_mlp',
        "The plan's figure beside the compiler's.",
        PLANNED,
    ),
    Mutation(
        'a-step-of-decoding-for-every-new-token',
        EXPECTED,
        'further = (targets - 1) * rows',
        'further = targets * rows',
        "The plan's figure beside the compiler's.",
        PLANNED,
    ),
    Mutation(
        'temporaries-without-what-fsdp-gathers',
        EXPECTED,
        'temporaries + gathered + bank)',
        'temporaries + bank)',
        "The plan's figure beside the compiler's.",
        (f'{MADE}::test_what_fsdp_gathers_is_planned_as_temporary',),
    ),
    Mutation(
        'scores-of-attention-of-one-row-of-tokens',
        f'{ROOM}/cost.py',
        'return 4.0 * rows * length**2 * heads * 4 / model',
        'return 4.0 * rows * length * heads * 4 / model',
        'Planned memory of long rows.',
        (
            'tests/forecast_test.py::'
            'test_bytes_of_keys_values_and_logits_by_hand',
        ),
    ),
    Mutation(
        'scores-and-logits-at-one-time',
        f'{ROOM}/cost.py',
        'return saved + max(logits, layer + scores)',
        'return saved + logits + layer + scores',
        'Planned memory of an encoder: half as much again as it needs.',
        (
            'tests/forecast_test.py::'
            'test_text_is_generated_while_nothing_trains',
        ),
    ),
    Mutation(
        'a-kilobyte-of-a-compiler-is-1000-bytes',
        COMPILED,
        "'G': 2**30",
        "'G': 10**9",
        'By how much a program does not fit.',
        SHORT,
    ),
    Mutation(
        'a-step-of-decoding-with-the-prefill',
        TEXT,
        'bytes=(whole.bytes - first.bytes) / (new - 1)',
        'bytes=whole.bytes / (new - 1)',
        'Tokens a second of decoding.',
        DECODING,
    ),
    Mutation(
        'a-program-too-large-by-what-the-chip-has',
        TEXT,
        'short = made.peak > chip.memory',
        'short = made.peak > 2 * chip.memory',
        'A program that does not fit is not reported.',
        (f'{MADE}::test_what_does_not_fit_is_said_with_its_largest_arrays',),
    ),
    Mutation(
        'a-slice-of-any-form',
        TOPOLOGY,
        "if topology != '1' and not re.fullmatch(form, topology):",
        "if topology != '1' and not re.match(r'\\d', topology):",
        'A wrong slice is a traceback of the compiler.',
        SLICES,
    ),
    Mutation(
        'movers-of-one-round-of-a-loop',
        COUNTS,
        'mover[0] += often * once',
        'mover[0] += once',
        'What moves most in a program, and bytes of all of it.',
        MOVED,
    ),
    Mutation(
        'movers-named-after-the-first-instruction',
        f'{ROOM}/origins.py',
        'return (products or named)[0]',
        'return named[-1]',
        'What moves the most bytes.',
        (f'{READ}::test_what_moves_the_most_bytes_comes_first',),
    ),
    Mutation(
        'a-backward-pass-is-named-forward',
        f'{ROOM}/origins.py',
        "return f'backward: {path}' if 'transpose(' in name else path",
        'return path',
        'What moves the most bytes.',
        (f'{READ}::test_names_of_jax_without_its_transformations',),
    ),
    Mutation(
        'communication-takes-no-time',
        COMPILED,
        'size for _, size in self.sent.values()) / chip.links',
        '0.0 for _, size in self.sent.values()) / chip.links',
        'The least time of a program on several chips.',
        (f'{MADE}::test_a_roofline_by_hand',),
    ),
    Mutation(
        'a-step-sends-what-the-prefill-sends-too',
        TEXT,
        'first.sent.get(kind, none)[1]',
        'none[1]',
        'Tokens a second of decoding with FSDP.',
        DECODING,
    ),
    Mutation(
        'a-prefill-s-loop-is-that-of-decoding',
        LAWS,
        "_STEP = re.compile(r'jit\\(greedy\\)/while/body/')",
        "_STEP = re.compile(r'jit\\(greedy\\)/')",
        'Laws that no program of a decoder holds.',
        (f'{MADE}::test_what_a_step_of_decoding_may_move',),
    ),
    Mutation(
        'fusions-may-copy-kernels',
        LAWS,
        "return moves[0] if moves and done <= {'transpose', 'copy'} else ''",
        "return ''",
        'A step that transposes kernels would hold the laws.',
        (f'{MADE}::test_what_a_step_of_decoding_may_move',),
    ),
    Mutation(
        'remat-computes-again-what-is-only-added',
        f'{ROOM}/cost.py',
        "'pre': ('mlp/down',),",
        "'pre': (),",
        'Operations of a step with config.model.remat: 10 % more.',
        ('tests/forecast_test.py::test_what_remat_computes_again_by_hand',),
    ),
    Mutation(
        'a-layer-at-work-has-no-gradients',
        f'{ROOM}/cost.py',
        '2 * (1 + c.gated) * c.mlp_width / model + 2 * c.width',
        '0.0',
        'Memory of a gradient: 15 % less.',
        ('tests/forecast_test.py::test_bytes_of_a_layer_at_work_by_hand',),
    ),
    Mutation(
        'a-decoder-behind-an-encoder-saves-nothing',
        f'{ROOM}/cost.py',
        'numbers += rows * targets * _saved_by(',
        'numbers += 0 * targets * _saved_by(',
        'Memory of a gradient of T5.',
        ('tests/forecast_test.py::test_what_t5_saves_by_hand',),
    ),
)
