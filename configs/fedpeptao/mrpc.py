"""MRPC: do two sentences mean the same? Scored by the mean of accuracy and F1.

    python main.py --config=configs/fedpeptao/mrpc.py \\
        --config.data.path=DIR/mrpc

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedpeptao import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedPepTAO on this task at a scale."""
    return settings.config('mrpc', scale)
