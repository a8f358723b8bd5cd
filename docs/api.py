"""Writes the API reference from docstrings with pdoc; fails on a warning.

python docs/api.py FOLDER
"""

import importlib
from pathlib import Path
import pkgutil
import shutil
import sys
import warnings

from absl import flags
import pdoc

PACKAGE = 'fedprompt_jax'


def main(folder: Path) -> None:
    """Writes the pages; exits with 1 if pdoc warns.

    Args:
      folder: is replaced.
    """
    _import_all()
    shutil.rmtree(folder, ignore_errors=True)
    pdoc.render.configure(docformat='google')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('ignore')
        warnings.filterwarnings('always', module='pdoc')
        pdoc.pdoc(PACKAGE, output_directory=folder)
    for warning in caught:
        print(f'warning: {warning.message}', file=sys.stderr)
    if caught:
        sys.exit(f'error: {len(caught)} warnings; mend the docstrings.')
    print(f'{len(list(folder.rglob("*.html")))} pages in {folder}')


def _import_all() -> None:
    """Imports every module; commands may define the same flags."""
    package = importlib.import_module(PACKAGE)
    before = set(flags.FLAGS)
    for module in pkgutil.walk_packages(package.__path__, f'{PACKAGE}.'):
        if not module.name.endswith('__main__'):
            importlib.import_module(module.name)
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
