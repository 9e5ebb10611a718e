"""One command a file, lazily loaded: parse, call an operation, render.

May import ``ops``, ``model``, ``settings`` and ``errors``, and whatever below it needs to render.
"""
