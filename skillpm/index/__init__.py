"""The sources of skills: each module is one kind of Index (``skillpm.model.ports``).

May import storage, layout, model, settings, errors. The results of an index are not checked yet.
"""
