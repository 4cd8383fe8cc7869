"""``python -m local``; local_run.sh calls it with the project's virtual environment."""

from local.command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
