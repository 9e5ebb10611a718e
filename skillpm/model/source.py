"""Where a skill comes from, as a lock writes it."""

from __future__ import annotations

BUNDLED = "bundled"
FOLDER = "path:"  # the sources whose content a person edits
GIT = "git+"
NAMED = (BUNDLED, FOLDER, GIT, "archive:")  # sources that somebody has chosen by themselves: no cooldown holds for them
