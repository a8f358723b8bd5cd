"""Client and server learning rates: 8 runs.

    python -m fedprompt_jax.study --study=configs/studies/learning_rates.py \\
        --config=configs/fedavg_adam.py --together=8
"""

import itertools

CLIENT = (0.01, 0.03, 0.1, 0.3)
SERVER = (0.03, 0.1)


def points():
    """The overrides of each run."""
    for client, server in itertools.product(CLIENT, SERVER):
        yield {
            'client.learning_rate': client,
            'server.learning_rate': server,
        }
