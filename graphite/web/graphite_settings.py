"""graphite-web's settings, from the environment, so that no file contains secrets.

GRAPHITE_SECRET_KEY is required. GRAPHITE_STORAGE_DIR contains whisper/ and a small SQLite database of users and events.
"""

import os
from pathlib import Path

STORAGE_DIR = os.environ["GRAPHITE_STORAGE_DIR"]
CONF_DIR = os.environ.get("GRAPHITE_CONF_DIR", str(Path(STORAGE_DIR) / "conf"))
WHISPER_DIR = str(Path(STORAGE_DIR) / "whisper")
LOG_DIR = str(Path(STORAGE_DIR) / "log")
INDEX_FILE = str(Path(STORAGE_DIR) / "index")

SECRET_KEY = os.environ["GRAPHITE_SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("GRAPHITE_ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
TIME_ZONE = "UTC"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(STORAGE_DIR) / "graphite.db")}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

# Whisper files are read directly; carbon's query port would only add the last second or two.
CARBONLINK_HOSTS: list[str] = []
# New metrics must appear immediately, not after the default five minutes.
FIND_CACHE_DURATION = 0
DEFAULT_CACHE_DURATION = 0
# Rendering needs no large request bodies.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

LOG_ROTATION = True
LOG_ROTATION_COUNT = 1
LOG_INFO_PERFORMANCE = False
LOG_FILE_INFO = "-"
LOG_FILE_EXCEPTION = "-"
LOG_FILE_CACHE = "-"
LOG_FILE_RENDERING = "-"
