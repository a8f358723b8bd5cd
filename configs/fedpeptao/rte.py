"""RTE: does a sentence follow from another?

    python main.py --config=configs/fedpeptao/rte.py \\
        --config.data.path=DIR/rte

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('rte', scale)
