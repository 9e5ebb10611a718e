"""Use cases, one a file. Arguments are ports and values, results are values; nothing here prints or exits."""
