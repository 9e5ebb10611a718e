"""``python -m skillpm_registry``."""

from skillpm_registry.command import main

main()
