#!/usr/bin/env bash
# coinwatch on this machine, without Docker: prepares what is missing, then hands over to local/ (Python).
set -euo pipefail

usage() {
  cat <<'TEXT'
coinwatch on this machine, without Docker.

  ./local_run.sh [start]           start everything and stay; Ctrl-C stops it
  ./local_run.sh start --detach    start everything and return when all is ready
  ./local_run.sh stop              stop everything; data stays
  ./local_run.sh status [--json]   what runs and whether it is ready
  ./local_run.sh logs [PART] [-f]  the last lines of every part, or of one
  ./local_run.sh reset [--yes]     stop and delete all data; .env stays
  ./local_run.sh coinwatch ...     a command of coinwatch, for example: coinwatch prices
  ./local_run.sh airflow ...       a command of Airflow, for example: airflow backfill create --help

The first start downloads what it needs: Python packages into .venv, npm packages into local/node_modules, about 1 GB in
all. Everything it writes later is under .local. Passwords are made at the first start and stand in .env.

Settings (environment or .env; all optional):
  COINWATCH_AIRFLOW_PORT 8080       COINWATCH_WEB_PORT 18000          COINWATCH_MAIL_CATCHER_PORT 11080
  COINWATCH_GRAPHITE_PORT 18080     COINWATCH_GRAFANA_PORT 13000      COINWATCH_POSTGRES_PORT 15432
  COINWATCH_STATSD_PORT 18125       COINWATCH_STATSD_ADMIN_PORT 18126 COINWATCH_CARBON_PORT 12003
  COINWATCH_SMTP_PORT 11025         COINWATCH_COINNEWS_PORT 18600
  COINWATCH_BIND_HOST 127.0.0.1     who may reach Airflow and the web page: 0.0.0.0 is everybody
  COINWATCH_LOCAL_DIR               another folder for data and .env: a second stack beside the first
  COINWATCH_COLLECT_SCHEDULE_MINUTES 3
  COINWATCH_COINNEWS_REPLAY, COINWATCH_COINNEWS_SPEED   a CSV of recorded minutes to play as the market, and how fast
  GRAFANA_HOME                      a Grafana of yours; COINWATCH_GRAFANA=off leaves Grafana out

Your own services are used instead of ours when these are set:
  COINWATCH_DATABASE_URL with COINWATCH_DATABASE_OWNER_URL and COINWATCH_DATABASE_READER_URL,
  AIRFLOW__DATABASE__SQL_ALCHEMY_CONN, COINWATCH_STATSD_HOST and COINWATCH_STATSD_PORT, COINWATCH_GRAPHITE_URL,
  COINWATCH_CARBON_HOST and COINWATCH_CARBON_PORT, COINWATCH_SMTP_URL.
TEXT
}

project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=local/uv.sh
. "$project/local/uv.sh"
venv="$project/.venv"

# Brings .venv to what uv.lock says; a stamp of what was installed makes later starts skip it.
install_packages() {
  local uv stamp wanted made_for
  wanted="$(cat "$project/uv.lock" "$project/pyproject.toml" | cksum) $project"
  stamp="$venv/.coinwatch-local"
  if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  made_for=$(cut -d' ' -f3- "$stamp" 2>/dev/null || true)
  if [ -n "$made_for" ] && [ "$made_for" != "$project" ]; then
    echo "the project was moved or copied here from $made_for: making .venv anew"
    rm -rf "$venv"
  fi
  check_room
  uv=$(find_uv)
  echo "installing the Python packages (about 1 GB, once)"
  sync_packages "$uv"
  printf '%s\n' "$wanted" >"$stamp"
}

check_room() {
  local free
  free=$(df -Pk "$project" | awk 'NR == 2 { print int($4 / 1024) }')
  if [ "$free" -lt 2000 ] && [ ! -x "$venv/bin/python" ]; then
    fail "Only ${free} MB are free on the disk of $project; the packages need 2000 MB. Free some room."
  fi
}

[ "$(uname -s)" = Linux ] || fail "local_run.sh runs on Linux; elsewhere use ./docker_run.sh."
case "${1:-start}" in
  -h | --help | help)
    usage
    exit 0
    ;;
  start | -*) [ "${1:-start}" = start ] || set -- start "$@" ;;
  stop | status | logs | reset) ;;
  coinwatch)
    shift
    [ -x "$venv/bin/coinwatch" ] || fail "Nothing was started here yet; begin with ./local_run.sh start"
    export COINWATCH_ENV_FILE="${COINWATCH_LOCAL_DIR:-$project}/.env"
    exec "$venv/bin/coinwatch" "$@"
    ;;
  airflow)
    [ -x "$venv/bin/python" ] || fail "Nothing was started here yet; begin with ./local_run.sh start"
    PYTHONPATH="$project" exec "$venv/bin/python" -P -m local "$@"
    ;;
  *)
    usage >&2
    fail "There is no command ${1}."
    ;;
esac
[ $# -gt 0 ] || set -- start

case " $* " in *" --help "* | *" -h "*) usage && exit 0 ;; esac
if [ "$1" = start ]; then
  install_packages
elif [ ! -x "$venv/bin/python" ] && [ "$1" != stop ] && [ "$1" != reset ]; then
  fail "Nothing was started here yet; begin with ./local_run.sh start"
fi

python="$venv/bin/python"
# stop and reset need nothing but Python itself: they must work when the virtual environment does not.
"$python" -c '' >/dev/null 2>&1 || { check_python && python=python3; }
PYTHONPATH="$project" exec "$python" -P -m local "$@"
