"""Which releases? The resolver, the explanation of conflicts, the install plan. Pure: no files, no network.

May import model, errors, packaging and nab_resolver.
"""
