#!/usr/bin/env bash
# Runs coinwatch with Docker: builds the images, starts docker/compose.yaml and waits until every service is healthy.
# Needs only bash 3.2 (as on macOS) and Docker with the compose plugin.
set -euo pipefail

usage() {
  cat <<'TEXT'
Run coinwatch with Docker.

  ./docker_run.sh [start] [PATH]       build and start everything, and return when it is ready
  ./docker_run.sh stop                 stop everything; data is kept
  ./docker_run.sh status               show the state of all services
  ./docker_run.sh logs [SERVICE] [-f]  show the last log lines of all services, or of one
  ./docker_run.sh reset [--yes]        stop and delete all data; .env is kept
  ./docker_run.sh backup FILE          write all of coinwatch's data to a new file, while it runs
  ./docker_run.sh restore FILE [--yes] replace all of coinwatch's data by a backup
  ./docker_run.sh coinwatch ...        run a coinwatch command, for example: coinwatch prices

PATH is a folder for .env, with all data in PATH/data. Without it, .env is in .docker and the data in Docker volumes.
The first start builds the images (about 1 GB in total), generates passwords and writes them to .env.

Settings (environment or .env; all optional; docker/.env.example has more):
  COINWATCH_AIRFLOW_PORT 8080       COINWATCH_WEB_PORT 18000          COINWATCH_MAIL_CATCHER_PORT 11080
  COINWATCH_GRAPHITE_PORT 18080     COINWATCH_GRAFANA_PORT 13000      COINWATCH_POSTGRES_PORT 15432
  COINWATCH_STATSD_PORT 18125       COINWATCH_SMTP_PORT 11025         COINWATCH_COINNEWS_PORT 18600
  COINWATCH_BIND_HOST 127.0.0.1     the address of Airflow and the web app; 0.0.0.0 makes them public
  COINWATCH_PUBLIC_URL, AIRFLOW__API__BASE_URL, COINWATCH_TRUSTED_PROXIES   behind a reverse proxy: docs/reverse-proxy.md
  COINWATCH_COLLECT_SCHEDULE_MINUTES 3
  COINWATCH_COINNEWS_REPLAY, COINWATCH_COINNEWS_SPEED   a CSV of recorded minutes to replay, and its speed
  COINWATCH_SMTP_URL                a mail server to use instead of the mail catcher

Only in the environment:
  COINWATCH_DOCKER_WITHOUT          services to leave out: grafana, mail, or both
  COINWATCH_DOCKER_PROJECT          the project name (coinwatch); set it, and other ports, for a second stack
  COINWATCH_DOCKER_BUILD=no         use existing images
  PYTHON_IMAGE, POSTGRES_IMAGE, GRAPHITE_IMAGE, MAIL_IMAGE, GRAFANA_IMAGE   images from a mirror, or other versions

A compose.override.yaml next to .env is merged with docker/compose.yaml.
TEXT
}

project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
stack=${COINWATCH_DOCKER_PROJECT:-coinwatch}
# Set by functions in the two files below.
folder='' env_file='' new_password='' starting='' expected=''

# shellcheck source=docker/settings.sh
. "$project/docker/settings.sh"
# shellcheck source=docker/containers.sh
. "$project/docker/containers.sh"

main() {
  local command=start
  case "${1:-}" in
    -h | --help | help) usage && return ;;
    start | stop | status | logs | reset | backup | restore | coinwatch)
      command=$1
      shift
      case "$command ${1:-}" in "coinwatch "*) ;; *" -h" | *" --help") usage && return ;; esac
      ;;
    -*)
      usage >&2
      fail "Unknown option: ${1}"
      ;;
  esac
  check_docker
  case "$command" in
    coinwatch) run_coinwatch "$@" ;;
    *) "${command}_stack" "$@" ;;
  esac
}

fail() {
  printf '%s\n' "$1" >&2
  exit "${2:-1}"
}

say() {
  printf '%4d s  %s\n' "$SECONDS" "$1"
}

check_docker() {
  command -v docker >/dev/null ||
    fail "Docker is not installed. Install it (https://docs.docker.com/engine/install/), or use ./local_run.sh."
  docker compose version >/dev/null 2>&1 ||
    fail "Docker's compose plugin is not installed. Install it (Debian, Ubuntu: apt install docker-compose-plugin)."
  local output
  output=$(docker version --format '{{.Server.Version}}' 2>&1) || case "$output" in
    *"permission denied"*) fail "You have no permission to use Docker. Add yourself to the group docker, or run this as root." ;;
    *) fail "Docker is not running. Start it (systemctl start docker, or Docker Desktop)." ;;
  esac
}

start_stack() {
  [ $# -le 1 ] || fail "start takes at most one PATH, not $#: $*"
  choose_folder "${1:-}"
  prepare_secrets
  check_settings
  write_settings
  check_ports
  trap 'interrupted' INT TERM
  build_images
  start_containers
  wait_for_containers
  wait_for_dag
  show_probe
  trap - INT TERM
  show_started
}

stop_stack() {
  find_folder
  if [ -z "$(running)" ]; then
    echo "Nothing was running."
    return
  fi
  stop_containers || fail "Some containers did not stop; see: docker ps --filter label=$label=$stack"
  echo "Stopped; data is kept. Start again with ./docker_run.sh"
}

# Exit code 0 if every service is ready.
status_stack() {
  if [ -z "$(running)" ]; then
    echo "Nothing is running. Start with ./docker_run.sh"
    return 1
  fi
  { echo "service|state|address" && service_states | awk -F'|' '{ print $2 "|" $3 "|" $4 }'; } | columns
  service_states | awk -F'|' '$3 != "ready" { bad = 1 } END { exit bad }'
}

logs_stack() {
  local service='' follow='' argument
  for argument in "$@"; do
    case "$argument" in
      -f | --follow) follow=--follow ;;
      -*) fail "Unknown option: $argument" ;;
      *) service=$argument ;;
    esac
  done
  find_folder
  case " $services setup  " in *" $service "*) ;; *) fail "Unknown service: $service. Available: $services setup" ;; esac
  # shellcheck disable=SC2086
  compose logs --tail "$([ -n "$service" ] && echo 100 || echo 5)" $follow $service
}

reset_stack() {
  case "$*" in '' | --yes) ;; *) fail "reset takes no argument except --yes, not: $*" ;; esac
  find_folder
  confirm "${1:-}" "This deletes all prices, alerts, emails and Airflow's history of $stack." reset
  delete_data
  echo "All data is deleted. $env_file and its secrets are kept."
}

# confirm ANSWER WARNING COMMAND
confirm() {
  local answer=''
  if [ "$1" = --yes ]; then return; fi
  [ -t 0 ] || fail "$2 To confirm, run ./docker_run.sh $3 --yes"
  printf '%s Type yes: ' "$2"
  read -r answer
  [ "$answer" = yes ] || fail "Nothing was changed."
}

backup_stack() {
  [ $# -eq 1 ] || fail "backup takes the name of a new file: ./docker_run.sh backup FILE"
  [ ! -e "$1" ] || fail "$1 exists. Choose another name, or delete it first."
  [ -d "$(dirname -- "$1")" ] || fail "The folder $(dirname -- "$1") does not exist. Create it first."
  find_folder
  back_up "$1"
  echo "Wrote $1. Keep a copy of $env_file, too."
}

restore_stack() {
  case "$# ${2:-}" in '1 ' | '2 --yes') ;; *) fail "restore takes a file: ./docker_run.sh restore FILE [--yes]" ;; esac
  [ -f "$1" ] || fail "$1 does not exist."
  find_folder
  confirm "${2:-}" "This replaces all prices, alerts and emails of $stack by the backup." "restore FILE"
  restore_backup "$1"
  echo "The backup is restored."
}

run_coinwatch() {
  local container terminal=()
  container=$(docker ps -q --filter "label=$label=$stack" --filter "label=$service_label=airflow-scheduler")
  [ -n "$container" ] || fail "Nothing is running. Start with ./docker_run.sh"
  if [ -t 0 ] && [ -t 1 ]; then terminal=(-it); fi
  exec docker exec -i ${terminal[@]+"${terminal[@]}"} "$container" coinwatch "$@"
}

main "$@"
