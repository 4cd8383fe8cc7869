"""``python -m local``, run by local_run.sh with the project's virtual environment."""

from local.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
