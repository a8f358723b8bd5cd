"""Mistakes in whose parameters a row reads, and in what devices sum."""

from tests.mutants.mutation import Mutation

GROUPED = 'fedprompt_jax/models/grouped.py'
MESH = 'fedprompt_jax/mesh.py'
BINDING = 'fedprompt_jax/bank/binding.py'
CAUSAL = 'fedprompt_jax/evaluation/causal.py'
ATTENTION = 'fedprompt_jax/models/attention.py'
DECODING = 'fedprompt_jax/evaluation/decoding.py'

ROWS = ('tests/grouped_test.py',)
KINDS = ('tests/mesh_test.py::test_so_it_does_for_what_every_layer_reads',)
WRITES = ('tests/generation_test.py',)

MUTATIONS = (
    Mutation(
        'a-row-reads-the-parameters-of-another-group',
        GROUPED,
        'return taken.reshape(len(owner), *taken.shape[2:])',
        'return taken[::-1].reshape(len(owner), *taken.shape[2:])',
        'Gradients of LoRA on several devices: of other clients.',
        ROWS,
    ),
    Mutation(
        'groups-with-several-owners-read-the-first',
        GROUPED,
        'if owners > 1 or more:',
        'if more:',
        'LoRA, adapters and IA3 of all clients but the first.',
        ROWS,
    ),
    Mutation(
        'all-rows-are-one-group-on-a-mesh',
        MESH,
        "groups = self.mesh.shape['data'] if cut else 1",
        'groups = 1',
        'Nothing but time: devices sum the gradient in each layer.',
        KINDS,
    ),
    Mutation(
        'the-bank-is-not-copied-on-a-mesh',
        BINDING,
        'if self.copies is None or self.kind.is_full_model:',
        'if True:',
        'Nothing but time: devices sum the gradient in each layer.',
        KINDS,
    ),
    Mutation(
        'decoded-rows-are-one-group',
        CAUSAL,
        'moving = model.for_few_tokens().bind_groups(base, '
        'one_owner_a_row(bank))',
        'moving = model.for_few_tokens().bind(base, bank)',
        'Text of all rows but the first: by the first client.',
        (*WRITES, *KINDS),
    ),
    Mutation(
        'values-are-written-one-too-far',
        DECODING,
        'values.at[..., at - 1].set(value)',
        'values.at[..., at].set(value)',
        'Every token behind the second one.',
        WRITES,
    ),
    Mutation(
        'values-are-read-by-head',
        ATTENTION,
        'jnp.moveaxis(self.values, -1, 1)',
        'self.values.swapaxes(1, 2)',
        'Every token behind the second one.',
        WRITES,
    ),
)
