"""The command `risk-tasks`, also as `python -m risk_tasks`."""

import sys

from risk_tasks.errors import MissingExtraError, missing_extras_named


def main() -> None:
    """Run the command line; without the extra `cli`, say how to install it."""
    try:
        with missing_extras_named():
            from risk_tasks.cli import main as run
    except MissingExtraError as error:
        sys.exit(f"risk-tasks: {error.message}\n{error.remedy}")
    run()


if __name__ == "__main__":
    main()
