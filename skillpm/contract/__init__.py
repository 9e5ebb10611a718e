"""The one schema of a skill's answers: parser, verifier, argv builder, sampler and prompt all come from contract.yaml.

May import ``model`` and ``errors``. Pure: no files, no processes, no clock.
"""
