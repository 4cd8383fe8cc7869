#!/usr/bin/env bash
# Runs coinwatch without Docker: installs what is missing, then runs local/ (Python).
set -euo pipefail

usage() {
  cat <<'TEXT'
Run coinwatch without Docker.

  ./local_run.sh [start]              start everything and stay in the foreground; Ctrl-C stops it
  ./local_run.sh start --detach       start everything and return when it is ready
  ./local_run.sh stop                 stop everything; data is kept
  ./local_run.sh status [--json]      show the state of all services
  ./local_run.sh logs [SERVICE] [-f]  show the last log lines of all services, or of one
  ./local_run.sh reset [--yes]        stop and delete all data; .env is kept
  ./local_run.sh backup FILE          write all of coinwatch's data to a new file, while it runs
  ./local_run.sh restore FILE [--yes] replace all of coinwatch's data by a backup
  ./local_run.sh coinwatch ...        run a coinwatch command, for example: coinwatch prices
  ./local_run.sh completion bash|zsh  print a script that completes these commands: source <(./local_run.sh completion bash)
  ./local_run.sh airflow ...          run an Airflow command, for example: airflow backfill create --help

The first start downloads Python packages to .venv and npm packages to local/node_modules, about 1 GB in total. All data
is in .local. The first start generates passwords and writes them to .env. Airflow's connection to the database is under
Admin > Connections; changes made there are kept until COINWATCH_DATABASE_URL changes.

Settings (environment or .env; all optional):
  COINWATCH_AIRFLOW_PORT 8080       COINWATCH_WEB_PORT 18000          COINWATCH_MAIL_CATCHER_PORT 11080
  COINWATCH_GRAPHITE_PORT 18080     COINWATCH_GRAFANA_PORT 13000      COINWATCH_POSTGRES_PORT 15432
  COINWATCH_STATSD_PORT 18125       COINWATCH_STATSD_ADMIN_PORT 18126 COINWATCH_CARBON_PORT 12003
  COINWATCH_SMTP_PORT 11025         COINWATCH_COINNEWS_PORT 18600
  COINWATCH_BIND_HOST 127.0.0.1     the address of Airflow and the web app; 0.0.0.0 makes them public
  COINWATCH_PUBLIC_URL, AIRFLOW__API__BASE_URL, COINWATCH_TRUSTED_PROXIES   behind a reverse proxy: docs/reverse-proxy.md
  COINWATCH_LOCAL_DIR               another folder for data and .env, for a second stack
  COINWATCH_COLLECT_SCHEDULE_MINUTES 3
  COINWATCH_COINNEWS_REPLAY, COINWATCH_COINNEWS_SPEED   a CSV of recorded minutes to replay, and its speed
  GRAFANA_HOME                      an installed Grafana; COINWATCH_GRAFANA=off disables Grafana

External services are used instead of local ones if these are set:
  COINWATCH_DATABASE_URL with COINWATCH_DATABASE_OWNER_URL and COINWATCH_DATABASE_READER_URL,
  AIRFLOW__DATABASE__SQL_ALCHEMY_CONN, COINWATCH_STATSD_HOST and COINWATCH_STATSD_PORT, COINWATCH_GRAPHITE_URL,
  COINWATCH_CARBON_HOST and COINWATCH_CARBON_PORT, COINWATCH_SMTP_URL.
TEXT
}

project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=local/uv.sh
. "$project/local/uv.sh"
venv="$project/.venv"

# Installs .venv from uv.lock, unless a stamp file says that it is up to date.
install_packages() {
  local uv stamp wanted created_for
  wanted="$(cat "$project/uv.lock" "$project/pyproject.toml" | cksum) $project"
  stamp="$venv/.coinwatch-local"
  if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  created_for=$(cut -d' ' -f3- "$stamp" 2>/dev/null || true)
  if [ -n "$created_for" ] && [ "$created_for" != "$project" ]; then
    echo "the project was moved or copied from $created_for: creating .venv again"
    rm -rf "$venv"
  fi
  check_disk_space
  uv=$(find_uv)
  echo "installing the Python packages (about 1 GB, once)"
  sync_packages "$uv"
  printf '%s\n' "$wanted" >"$stamp"
}

check_disk_space() {
  local free
  free=$(df -Pk "$project" | awk 'NR == 2 { print int($4 / 1024) }')
  if [ "$free" -lt 2000 ] && [ ! -x "$venv/bin/python" ]; then
    fail "Only ${free} MB are free on the disk of $project; the packages need 2000 MB. Free some space."
  fi
}

[ "$(uname -s)" = Linux ] || fail "local_run.sh runs on Linux; elsewhere use ./docker_run.sh."
case "${1:-start}" in
  -h | --help | help)
    usage
    exit 0
    ;;
  start | -*) [ "${1:-start}" = start ] || set -- start "$@" ;;
  stop | status | logs | reset | backup | restore) ;;
  coinwatch)
    shift
    [ -x "$venv/bin/coinwatch" ] || fail "Nothing has been started here yet. Run ./local_run.sh start"
    export COINWATCH_ENV_FILE="${COINWATCH_LOCAL_DIR:-$project}/.env"
    exec "$venv/bin/coinwatch" "$@"
    ;;
  completion)
    case "${2:-}" in
      bash | zsh) exec cat "$project/local/completion.$2" ;;
      *) fail "Completion is available for bash and zsh: ./local_run.sh completion bash" ;;
    esac
    ;;
  airflow)
    [ -x "$venv/bin/python" ] || fail "Nothing has been started here yet. Run ./local_run.sh start"
    PYTHONPATH="$project" exec "$venv/bin/python" -P -m local "$@"
    ;;
  *)
    usage >&2
    fail "Unknown command: ${1}"
    ;;
esac
[ $# -gt 0 ] || set -- start

case " $* " in *" --help "* | *" -h "*) usage && exit 0 ;; esac
if [ "$1" = start ]; then
  install_packages
elif [ ! -x "$venv/bin/python" ] && [ "$1" != stop ] && [ "$1" != reset ]; then
  fail "Nothing has been started here yet. Run ./local_run.sh start"
fi

python="$venv/bin/python"
# stop and reset must work even if the virtual environment does not.
"$python" -c '' >/dev/null 2>&1 || { check_python && python=python3; }
PYTHONPATH="$project" exec "$python" -P -m local "$@"
