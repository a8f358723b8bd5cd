"""ARC-Easy: a question of a school test, the easy part.

    python main.py --config=configs/fedsp/arc_easy.py \\
        --config.data.path=DIR/arc_easy

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('arc_easy', scale)
