"""Use cases, one a file. Arguments are ports and values, results are values; nothing here prints or exits.

What writes may raise StorageError, because the disk refused. What has answers judged may raise ConsentError, because
skill code would run that nobody agreed to.
"""
