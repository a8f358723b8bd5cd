"""Small mistakes put into the code one at a time, to see that a test fails.

    python -m tests.mutants                 # all of them, half an hour
    python -m tests.mutants federated       # one table
    python -m tests.mutants global-prompt-is-the-initial-one   # one mistake

A table is a file beside this one, named as the part of the code that it is
about: `MUTATIONS = (Mutation(...), ...)`.
"""
