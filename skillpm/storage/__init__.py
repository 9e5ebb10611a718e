"""The local disk: files, archives, the content-addressed store, the lock, agents' folders.

May import layout, resolve, model, settings, errors. Knows nothing of where skills come from.
"""
