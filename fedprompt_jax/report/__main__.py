"""Draws figures and writes a report from the files of runs alone.

    python -m fedprompt_jax.report RUN
    python -m fedprompt_jax.report RUN RUN ... --output=DIR

The first writes the figures and the report in RUN again. The second draws the
runs side by side, and writes that to DIR.
"""

import argparse
from collections.abc import Sequence

from fedprompt_jax.report import comparison, page


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the path of the report; an error ends it with status 2."""
    parser = argparse.ArgumentParser(
        prog='python -m fedprompt_jax.report',
        description='Draws the figures of a run folder and writes its report; '
        'or compares several runs.',
    )
    parser.add_argument(
        'runs', metavar='RUN', nargs='+', help='The folder of a run.'
    )
    parser.add_argument(
        '--output',
        metavar='DIR',
        help='The folder for the figures and the report of several runs. The '
        'report of one run is written in its own folder.',
    )
    args = parser.parse_args(argv)
    several = len(args.runs) > 1
    if several and not args.output:
        parser.error(
            f'{len(args.runs)} runs need --output=DIR, a folder for their '
            'figures and report.'
        )
    if args.output and not several:
        parser.error(
            'the report of one run is written in its own folder; leave out '
            '--output, or give several runs.'
        )
    try:
        if several:
            print(comparison.write(args.runs, args.output))
        else:
            print(page.write(args.runs[0]))
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == '__main__':
    main()
