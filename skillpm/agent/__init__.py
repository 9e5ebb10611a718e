"""A request, an answer, a person's word, a run in the sandbox, and the record of all of them.

May import every room below it: ``train``, ``evals``, ``synth`` and what they import.
"""
