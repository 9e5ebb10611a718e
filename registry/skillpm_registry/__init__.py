"""A shared registry for skillpm: a folder of static files, and the server that people publish to.

It imports skillpm, and skillpm never imports it.
"""

__version__ = "0.1.0"
