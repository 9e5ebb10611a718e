"""Installed skills as plugins: the host of trusted plugins, the worker in which skill code lives, scoring through it.

May import ``index``, ``storage``, ``layout``, ``contract``, ``hookspecs``, ``model``, ``settings``, ``errors``. Only
``worker`` and ``skillcode`` execute what a skill brings, and only ``worker`` imports ``skillcode``.
"""
