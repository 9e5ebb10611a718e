"""The verifier gate: probes that try to fool a verifier, and what their verdicts say about it.

May import ``worker``, ``runtime`` and what is below them. Asks the worker; runs no code of a skill itself.
"""
