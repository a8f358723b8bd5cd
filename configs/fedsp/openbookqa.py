"""OpenBookQA: a question of elementary science.

    python main.py --config=configs/fedsp/openbookqa.py \\
        --config.data.path=DIR/openbookqa

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('openbookqa', scale)
