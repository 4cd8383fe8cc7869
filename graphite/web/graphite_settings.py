"""graphite-web's settings: read from the environment, so that no secret stands in a file.

GRAPHITE_SECRET_KEY is required. GRAPHITE_STORAGE_DIR holds whisper/ and the small SQLite file of users and events.
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

# The whisper files are read directly; carbon's query port would only add what is younger than a second or two.
CARBONLINK_HOSTS: list[str] = []
# A new metric must be found at once, not after the stock five minutes.
FIND_CACHE_DURATION = 0
DEFAULT_CACHE_DURATION = 0
# Nobody needs to send a body of any size to draw a chart.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

LOG_ROTATION = True
LOG_ROTATION_COUNT = 1
LOG_INFO_PERFORMANCE = False
LOG_FILE_INFO = "-"
LOG_FILE_EXCEPTION = "-"
LOG_FILE_CACHE = "-"
LOG_FILE_RENDERING = "-"
