"""WebQuestions: a question of facts, answered in free text.

    python main.py --config=configs/fedsp/web_questions.py \\
        --config.data.path=DIR/web_questions

Settings and scales: settings.py.
"""

from ml_collections import config_dict

from configs.fedsp import settings


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """FedSP on this task at a scale."""
    return settings.config('web_questions', scale)
