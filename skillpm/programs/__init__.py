"""Which commands and options does a program have, and which skill says so?

May import ``contract``, ``sandbox``, ``model``, ``formats`` and ``errors``.
"""
