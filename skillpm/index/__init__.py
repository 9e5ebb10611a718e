"""Where skills come from: each module is one kind of Index (``skillpm.model.ports``).

May import layout, model, settings, errors. It knows nothing of storage: what an index gives is not yet checked, and how
a tree becomes an archive is given to it.
"""
