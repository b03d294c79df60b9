"""`python -m risk_tasks`: the command line."""

from risk_tasks.cli import main

if __name__ == "__main__":
    main()
