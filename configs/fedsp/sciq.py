"""SciQ: a question of science, with a paragraph that helps.

    python main.py --config=configs/fedsp/sciq.py --config.data.path=DIR/sciq

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('sciq', scale)
