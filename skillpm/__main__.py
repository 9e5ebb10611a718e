"""``python -m skillpm``."""

from skillpm.cli.main import run

run()
