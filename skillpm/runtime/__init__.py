"""Installed skills as plugins: the host of trusted plugins and the catalogue of what skills contribute.

May import ``layout``, ``contract``, ``hookspecs``, ``model``, ``settings``, ``errors``. Runs no code of a skill.
"""
