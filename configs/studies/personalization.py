"""Personalization: learning rate and the pull toward the global prompt.

    python -m fedprompt_jax.study --study=configs/studies/personalization.py \\
        --config=configs/fedavg_adam.py \\
        --config.personalization.split=validation

Hyper-parameters are chosen on validation clients (Profit, appendix C.3).
"""

import itertools

RATES = (0.003, 0.01, 0.03, 0.1)
L2 = (0.0, 0.1, 1.0)  # lambda


def points():
    """The overrides of each run."""
    for rate, strength in itertools.product(RATES, L2):
        yield {
            'personalization.learning_rate': rate,
            'personalization.l2': strength,
        }
