"""Where settings are read from: the paths of the files, and sources that read them more leniently than pydantic's."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from coinwatch.codes import code_key

PROJECT_ROOT = Path(os.environ.get("COINWATCH_HOME") or Path(__file__).resolve().parents[2])


def config_path() -> Path:
    """Path of the TOML file: COINWATCH_CONFIG, or config/coinwatch.toml in the project."""
    return Path(os.environ.get("COINWATCH_CONFIG") or PROJECT_ROOT / "config" / "coinwatch.toml")


def env_path() -> Path:
    """Path of the file with generated secrets: COINWATCH_ENV_FILE, or .env in the project."""
    return Path(os.environ.get("COINWATCH_ENV_FILE") or PROJECT_ROOT / ".env")


class TomlSource(TomlConfigSettingsSource):
    """Skips a byte order mark, which editors on Windows write and TOML does not allow."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return tomllib.loads(file_path.read_bytes().decode("utf-8-sig"))


class CoinsAsInFile(PydanticBaseSettingsSource):
    """Spells the codes of coins as in the TOML file: names of environment variables lose their case."""

    def __init__(
        self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource, codes: Mapping[str, str]
    ) -> None:
        super().__init__(settings_cls)
        self._source = source
        self._codes = codes

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        found = self._source()
        if isinstance(coins := found.get("coins"), dict):
            found["coins"] = {self._codes.get(code_key(code), code): coin for code, coin in coins.items()}
        return found
