"""What the registry's folder holds, read once and indexed, so that pages and searches need not read it again.

The folder is the truth. The index beside it is derived and may be deleted at any time.
"""
