"""Where skills come from: each module is one kind of Index (``skillpm.model.ports``).

May import layout, model, settings, errors, and of storage nothing: what an index gives is not yet checked.
"""
