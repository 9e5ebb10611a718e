"""``python -m skillpm``, and the command ``skillpm``."""

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
