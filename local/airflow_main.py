"""``airflow`` for a project in a folder with ``%`` in its name. Run as a file: ``python -P airflow_main.py ARGUMENTS``.

Alembic passes the folder of ``alembic.ini`` to configparser, which reads ``%`` as the start of a reference. Airflow
escapes the options that it sets itself, but not this one, and checks its tables whenever one of its commands starts.
"""

from collections.abc import Mapping


def main() -> None:
    accept_percent_in_paths()
    from airflow.__main__ import main as run_airflow

    run_airflow()


def accept_percent_in_paths() -> None:
    """Make Alembic leave its own variable ``here`` out of the sections it returns."""
    from alembic.config import Config

    def get_section(self: Config, name: str, default: Mapping[str, str] | None = None) -> Mapping[str, str] | None:
        sections = self.file_config
        if not sections.has_section(name):
            return default
        return {option: sections.get(name, option) for option in sections.options(name) if option != "here"}

    Config.get_section = get_section  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
