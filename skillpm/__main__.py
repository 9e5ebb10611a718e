"""``python -m skillpm``, and the command ``skillpm``."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path and __file__.rpartition("/skillpm/")[0] != sys.path[0]:
    del sys.path[0]  # the working directory: a project may have a json.py, or an entry point of ours

from skillpm.cli.interrupt import quit_on_interrupt

quit_on_interrupt()


def main() -> None:
    """Run the command line and exit."""
    from skillpm.cli.main import run

    try:
        run()
    finally:
        quit_on_interrupt()  # only Python's own end is left


if __name__ == "__main__":
    main()
