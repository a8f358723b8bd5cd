"""PIQA: which of two ways to do something works?

    python main.py --config=configs/fedsp/piqa.py --config.data.path=DIR/piqa

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('piqa', scale)
