"""Mistakes in attention that keeps no scores."""

from tests.mutants.mutation import Mutation

_MODELS = 'fedprompt_jax/models'
_READS = f'{_MODELS}/reads.py'
_STACK = f'{_MODELS}/stack.py'
_KERNELS = f'{_MODELS}/kernels'
_TABLE = f'{_KERNELS}/table.py'
_FORWARD = f'{_KERNELS}/forward.py'
_BACKWARD = f'{_KERNELS}/backward.py'
_SCORES = f'{_KERNELS}/scores.py'
_SHARDED = f'{_KERNELS}/sharded.py'
_FLASH = f'{_KERNELS}/flash.py'
_TILES = f'{_KERNELS}/tiles.py'
_CHOICE = f'{_KERNELS}/choice.py'
_MACHINES = f'{_KERNELS}/machines.py'

_TEST = 'tests/attention_kernels_test.py'
_SAME = (f'{_TEST}::test_outputs_and_gradients_are_xla_s',)
_MODEL = (f'{_TEST}::test_every_family_and_kind_has_the_same_gradients',)
_WINDOW = (f'{_TEST}::test_a_window_is_of_positions',)
_NOTHING = (f'{_TEST}::test_a_token_that_reads_nothing_gets_nothing',)
_BLOCKS = (f'{_TEST}::test_blocks_of_other_owners_are_not_read',)
_LIES = (f'{_TEST}::test_a_table_says_where_the_tokens_of_an_owner_lie',)
_DEVICES = (f'{_TEST}::test_four_devices_keep_their_rows_and_heads',)
_LOWERED = (f'{_TEST}::test_kernels_are_lowered_for_accelerators',)
_AUTO = (f'{_TEST}::test_auto_takes_what_the_devices_have',)
_SERVED = (f'{_TEST}::test_what_a_kernel_cannot_compute_xla_does',)
_SETTINGS = (f'{_TEST}::test_the_compilers_get_their_own_settings',)
_PLAN = (
    'tests/plan_test.py::test_a_kernel_keeps_outputs_in_the_place_of_scores',
)

MUTATIONS = (
    # Who reads whom
    Mutation(
        'a-window-of-a-kernel-one-too-long',
        _READS,
        'least=position - window + 1',
        'least=position - window',
        'Mistral and Gemma are other models on accelerators.',
        _WINDOW,
    ),
    Mutation(
        'hidden-slots-are-read-as-shared',
        _READS,
        'shared=jnp.where(hidden, HIDDEN, read.shared)',
        'shared=read.shared',
        'Layers read slots that they have no prefix for.',
        _MODEL,
    ),
    Mutation(
        'padding-of-a-table-reads-what-is-hidden',
        _TABLE,
        '_NOBODY = HIDDEN - 1',
        '_NOBODY = HIDDEN',
        'Sums over tokens that are not there.',
        _SAME,
        harmless='No block of keys is computed for padding alone, and what '
        'padding reads is cut off.',
    ),
    Mutation(
        'owners-begin-a-column-late',
        _TABLE,
        'jnp.where(owner != before, column, 0)',
        'jnp.where(owner != before, column + 1, 0)',
        "A block of its owner's prompt is not read.",
        _LIES,
    ),
    Mutation(
        'owners-end-a-column-early',
        _TABLE,
        'jnp.where(owner != after, column + 1, length)',
        'jnp.where(owner != after, column, length)',
        'The last query of an owner has no part in the gradient of keys.',
        _LIES,
    ),
    Mutation(
        'blocks-of-every-owner-are-read',
        _TABLE,
        'return jnp.where(padding, length, begin), jnp.where(padding, 0, end)',
        'return 0 * begin, 0 * end + length',
        'Time, and what is not finite reaches other owners.',
        _BLOCKS,
    ),
    Mutation(
        'the-block-of-the-query-is-not-read',
        _TABLE,
        'jnp.minimum(end, block + 1)',
        'jnp.minimum(end, block)',
        'Tokens do not read themselves.',
        _SAME,
    ),
    Mutation(
        'keys-are-read-from-the-next-block-on',
        _TABLE,
        'jnp.maximum(first, block)',
        'jnp.maximum(first, block + 1)',
        'Gradients of keys and values lack the nearest queries.',
        _SAME,
    ),
    # Sums
    Mutation(
        'earlier-blocks-count-as-much-as-ever',
        _FORWARD,
        'return new, total, kept * mean + times(weight, v[tokens, :])',
        'return new, total, mean + times(weight, v[tokens, :])',
        'Values of earlier blocks of keys weigh too much.',
        _SAME,
    ),
    Mutation(
        'a-token-that-reads-nothing-is-no-number',
        _FORWARD,
        'total = jnp.where(total == 0.0, 1.0, total)',
        'total = total + 0.0',
        'A late prompt makes all losses NaN.',
        _NOTHING,
    ),
    Mutation(
        'the-inner-product-is-left-out',
        _BACKWARD,
        'd_score = weight * (times_turned(d_outs, v[tokens, :]) - inners)',
        'd_score = weight * times_turned(d_outs, v[tokens, :])',
        'The gradient of queries is not that of a softmax.',
        _SAME,
    ),
    Mutation(
        'a-key-head-has-one-query-head',
        _BACKWARD,
        'jax.lax.fori_loop(0, group, of_head, (start, start))',
        'jax.lax.fori_loop(0, 1, of_head, (start, start))',
        'Gradients of keys lack those of the other heads of a group.',
        _SAME,
    ),
    Mutation(
        'the-cap-has-no-gradient',
        _SCORES,
        'gradient *= 1 - (score / self.cap) ** 2',
        'gradient *= 1 - score / self.cap',
        'Gemma 2 trains with another gradient.',
        _SAME,
    ),
    Mutation(
        'the-gradient-has-no-scale',
        _SCORES,
        'return gradient * self.scale',
        'return gradient',
        'Gradients of queries and keys are several times too large.',
        _SAME,
    ),
    # Devices
    Mutation(
        'clients-are-mixed-where-they-are-mapped',
        _SHARDED,
        'lambda x: x.reshape(size, -1, *x.shape[1:])',
        'lambda x: x.reshape(-1, size, *x.shape[1:]).swapaxes(0, 1)',
        'The vmapped simulation trains a client on the rows of others.',
        _DEVICES,
    ),
    Mutation(
        'every-device-computes-all-rows',
        _SHARDED,
        "data = 'data' if rows % sizes['data'] == 0 else None",
        'data = None',
        'Rows are sent to all devices.',
        _DEVICES,
    ),
    Mutation(
        'every-device-computes-all-heads',
        _SHARDED,
        "model = not any(n % sizes['model'] for n in heads)",
        'model = False',
        'Heads are sent to all devices.',
        _DEVICES,
    ),
    Mutation(
        'heads-of-a-gpu-are-not-padded',
        _FLASH,
        'more = length - x.shape[1], flash.width - x.shape[3]',
        'more = length - x.shape[1], 0',
        'Heads of 80 numbers do not compile for a GPU.',
        _LOWERED,
    ),
    Mutation(
        'a-program-works-for-another-block',
        _TILES,
        'return self._heads(None, self.size, width, lambda h, i: (h, i))',
        'return self._heads(None, self.size, width, lambda h, i: (h, 0))',
        'All tokens of a row get the outputs of its first ones.',
        _SAME,
    ),
    # Which kernel
    Mutation(
        'the-kind-of-attention-has-no-effect',
        'fedprompt_jax/experiment/build.py',
        'kernel_choice.make(config.model.attention, devices.mesh)',
        "kernel_choice.make('auto', devices.mesh)",
        'A run has another kind of attention than its config.',
        (
            'tests/build_wiring_test.py::'
            'test_the_model_is_cut_and_computed_as_the_config_says',
        ),
    ),
    Mutation(
        'auto-takes-what-a-cpu-runs-slowly',
        _CHOICE,
        "kind = 'xla' if machine == 'cpu' else 'pallas'",
        "kind = 'pallas'",
        'Hours: JAX interprets the kernel on a CPU.',
        _AUTO,
    ),
    Mutation(
        'a-bias-is-left-out-by-kernels',
        _CHOICE,
        'if c.relative_buckets:',
        'if False:',
        'T5 is another model on accelerators.',
        _SERVED,
    ),
    Mutation(
        'a-v4-is-taken-for-a-later-tpu',
        _CHOICE,
        "memory = 2**24 if re.search('v[234]', name) else 2**25",
        'memory = 2**25',
        'Long rows do not compile for a v4.',
        (f'{_TEST}::test_tpus_up_to_v4_have_less_fast_memory',),
    ),
    Mutation(
        'rows-are-padded-to-the-largest-block',
        _MACHINES,
        'padded = length + -length % LANES',
        'padded = length + -length % MOST',
        'A TPU computes a quarter more tokens of rows of 300.',
        _SETTINGS,
    ),
    Mutation(
        'a-plan-counts-scores-that-no-kernel-keeps',
        'fedprompt_jax/planning/cost.py',
        'return kernel is None or bool(kernel.obstacle(c, length, dtype))',
        'return True',
        'A run that fits an accelerator would not seem to.',
        _PLAN,
    ),
    Mutation(
        'a-program-ends-with-the-first-kernel-that-says-more',
        'fedprompt_jax/planning/hlo.py',
        "line.startswith('}') and not line.startswith('}}')",
        "line.startswith('}')",
        'Bytes and kernels of a program with splash attention.',
        ('tests/hlo_test.py',),
    ),
    Mutation(
        'a-plan-takes-a-gpu-for-a-cpu',
        'fedprompt_jax/planning/chips.py',
        "return 'tpu' if name.startswith(('v', 'tpu')) else 'gpu'",
        "return 'tpu' if name.startswith(('v', 'tpu')) else 'cpu'",
        'A run that fits an H100 would not seem to.',
        _PLAN,
    ),
)
