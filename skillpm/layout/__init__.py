"""Is this tree a skill? Pure over a read-only ``Tree``. May import hookspecs, model, settings and errors."""
