"""MPQA: is an opinion positive?

    python main.py --config=configs/fedpeptao/mpqa.py \\
        --config.data.path=DIR/mpqa

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('mpqa', scale)
