"""python -m fedprompt_jax.report RUN: draws and writes it again."""

from fedprompt_jax.report.page import main

if __name__ == '__main__':
    main()
