# shellcheck shell=bash
# Finds or downloads uv, and installs .venv from uv.lock. Sourced with $project set.

tools="${project:?}/.local/tools"

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

check_python() {
  command -v python3 >/dev/null || fail "python3 is not installed. Install Python 3.11, 3.12 or 3.13 (apt install python3)."
}

# uv on PATH, or one downloaded earlier, or a new download: with pip if available (it uses your mirrors), otherwise
# directly from PyPI.
find_uv() {
  if uv --version >/dev/null 2>&1; then
    command -v uv
    return
  fi
  if ! "$tools/uv" --version >/dev/null 2>&1; then
    check_python
    echo "downloading uv, which installs the Python packages" >&2
    mkdir -p "$tools"
    if python3 -m pip --version >/dev/null 2>&1 &&
      python3 -m pip install --quiet --no-deps --disable-pip-version-check --target "$tools/uv-package" uv >&2; then
      ln -sf uv-package/bin/uv "$tools/uv"
    else
      python3 "$project/local/fetch_uv.py" "$tools" || exit 1
    fi
  fi
  printf '%s\n' "$tools/uv"
}

# sync_packages UV [OPTION...]: --inexact keeps additional packages installed by a developer.
sync_packages() {
  local uv=$1
  shift
  # uv does not use the system's certificate authorities by default.
  if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}"
  fi
  export UV_PYTHON_DOWNLOADS="${UV_PYTHON_DOWNLOADS:-never}"
  (unset VIRTUAL_ENV && cd "$project" && "$uv" sync --quiet --frozen --extra airflow --extra channels --inexact "$@") ||
    fail "The Python packages could not be installed; see the message of uv above. Python 3.11 to 3.13 and access to PyPI are required."
}
