"""The rules SK###, by what they look at. May import the rest of ``layout``, never ``check``."""
