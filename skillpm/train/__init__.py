"""Recipe, plan, reward columns, run folder: all of training that needs no torch. May import ``runtime`` and below."""
