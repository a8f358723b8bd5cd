"""Small mistakes put into the code one at a time: does a test fail?

    python -m tests.mutants                     # all of them
    python -m tests.mutants federated data      # two tables
    python -m tests.mutants every-epoch-is-the-first-one
    python -m tests.mutants --sample=20         # some, others every day

`tables/` has a file for each part of the code. Whoever changes a line that a
table quotes changes the table: a text that is no longer there is an error, here
and in tests/mutants_test.py.
"""
