"""May it? Consent to run code, what a person lets in, the cooldown of new releases, recalled releases.

May import ``runtime``, ``index``, ``storage`` and what is below them.
"""
