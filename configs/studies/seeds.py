"""Five seeds: other prompts, cohorts and batches, and other held-out clients.

    python -m fedprompt_jax.study --study=configs/studies/seeds.py \\
        --config=configs/fedavg_adam.py
"""


def points():
    """The overrides of each run."""
    for seed in range(5):
        yield {'seed': seed}
