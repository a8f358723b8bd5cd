"""ARC-Challenge: a question of a school test, the hard part.

    python main.py --config=configs/fedsp/arc_challenge.py \\
        --config.data.path=DIR/arc_challenge

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('arc_challenge', scale)
