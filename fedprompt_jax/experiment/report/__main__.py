"""python -m fedprompt_jax.experiment.report RUN: draws and writes it again."""

from fedprompt_jax.experiment.report.page import main

if __name__ == '__main__':
    main()
