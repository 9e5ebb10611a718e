"""contract.yaml at work: parser, verifier, argv, sampler and prompt.

May import ``model`` and ``errors``. Pure: no files, no processes, no clock.
"""
