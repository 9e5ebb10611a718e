"""Where skills come from: each module is one kind of Index (``skillpm.model.ports``).

May import storage, layout, model, settings, errors. What an index gives is not yet checked.
"""
