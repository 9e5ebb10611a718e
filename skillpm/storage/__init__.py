"""The local disk: files, archives, the content-addressed store, the lock, agents' folders.

May import layout, resolve, model, settings, errors. Does not know the sources of skills.
"""
