"""Our numbers beside those of PyTorch, Hugging Face PEFT and plain Python.

    python -m tests.parity                  # a table; fails if a row does
    python -m tests.parity gemma2 t5        # of these models alone
    python -m tests.parity --write_golden   # the same numbers for models_test
    python -m tests.parity --write_golden adapters   # those of adapters_test
    python -m tests.parity --write_golden run        # of whole_run_test
    python -m tests.parity --questions=DIR lm_eval   # scores beside lm-eval's

Needs `pip install torch peft`, and the last line lm-eval. One file a group of
comparisons; cases.py, ours.py, golden.py, adapters.py and whole_run.py do
without torch, for the ordinary suite uses them too.
"""
