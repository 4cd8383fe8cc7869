#!/usr/bin/env bash
# coinwatch with Docker: builds the images, starts docker/compose.yaml and waits until every part is healthy.
# Needs bash 3.2 (macOS has that), docker with compose, and nothing else.
set -euo pipefail

usage() {
  cat <<'TEXT'
coinwatch with Docker.

  ./docker_run.sh [start] [PATH]    build, start everything and return when all is ready
  ./docker_run.sh stop              stop everything; data stays
  ./docker_run.sh status            what runs and whether it is ready
  ./docker_run.sh logs [PART] [-f]  the last lines of every part, or of one
  ./docker_run.sh reset [--yes]     stop and delete all data; .env stays
  ./docker_run.sh coinwatch ...     a command of coinwatch, for example: coinwatch prices

PATH is a folder for .env and, in PATH/data, all data. Without it .env is in .docker and the data in Docker's volumes.
The first start builds the images, about 1 GB in all. Passwords are made at the first start and stand in .env.

Settings (environment or .env; all optional; docker/.env.example has more):
  COINWATCH_AIRFLOW_PORT 8080       COINWATCH_WEB_PORT 18000          COINWATCH_MAIL_CATCHER_PORT 11080
  COINWATCH_GRAPHITE_PORT 18080     COINWATCH_GRAFANA_PORT 13000      COINWATCH_POSTGRES_PORT 15432
  COINWATCH_STATSD_PORT 18125       COINWATCH_SMTP_PORT 11025         COINWATCH_COINNEWS_PORT 18600
  COINWATCH_BIND_HOST 127.0.0.1     who may reach Airflow and the web page: 0.0.0.0 is everybody
  COINWATCH_COLLECT_SCHEDULE_MINUTES 3
  COINWATCH_COINNEWS_REPLAY, COINWATCH_COINNEWS_SPEED   a CSV of recorded minutes to play as the market, and how fast
  COINWATCH_SMTP_URL                a mail server of yours instead of the mail catcher

Only in the environment:
  COINWATCH_DOCKER_WITHOUT          parts to leave out: grafana, mail, or both
  COINWATCH_DOCKER_PROJECT          another name than coinwatch: a second stack beside the first, on other ports
  COINWATCH_DOCKER_BUILD=no         use the images that are there
  PYTHON_IMAGE, POSTGRES_IMAGE, GRAPHITE_IMAGE, MAIL_IMAGE, GRAFANA_IMAGE   images of a mirror, or other versions

A compose.override.yaml in the folder of .env is added to docker/compose.yaml.
TEXT
}

project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
stack=${COINWATCH_DOCKER_PROJECT:-coinwatch}
# Set by the functions of the two files below.
folder='' env_file='' new_password='' starting='' expected=''

# shellcheck source=docker/settings.sh
. "$project/docker/settings.sh"
# shellcheck source=docker/containers.sh
. "$project/docker/containers.sh"

main() {
  local command=start
  case "${1:-}" in
    -h | --help | help) usage && return ;;
    start | stop | status | logs | reset | coinwatch)
      command=$1
      shift
      case "$command ${1:-}" in "coinwatch "*) ;; *" -h" | *" --help") usage && return ;; esac
      ;;
    -*)
      usage >&2
      fail "There is no option ${1}."
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
    fail "docker is missing; install Docker (https://docs.docker.com/engine/install/), or use ./local_run.sh."
  docker compose version >/dev/null 2>&1 ||
    fail "Docker's compose plugin is missing; install it (Debian, Ubuntu: apt install docker-compose-plugin)."
  local said
  said=$(docker version --format '{{.Server.Version}}' 2>&1) || case "$said" in
    *"permission denied"*) fail "You may not use Docker: add yourself to the group docker, or run this as root." ;;
    *) fail "Docker does not run; start it (systemctl start docker, or Docker Desktop)." ;;
  esac
}

start_stack() {
  [ $# -le 1 ] || fail "start takes one PATH, not $#: $*"
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
  recall_folder
  if [ -z "$(running)" ]; then
    echo "Nothing was running."
    return
  fi
  stop_containers || fail "Some containers do not stop; see: docker ps --filter label=$label=$stack"
  echo "Stopped; data stays. Start again with ./docker_run.sh"
}

# Exit code 0 only when every part is ready.
status_stack() {
  if [ -z "$(running)" ]; then
    echo "Nothing runs. Start it with ./docker_run.sh"
    return 1
  fi
  { echo "part|state|address" && part_states | awk -F'|' '{ print $2 "|" $3 "|" $4 }'; } | columns
  part_states | awk -F'|' '$3 != "ready" { bad = 1 } END { exit bad }'
}

logs_stack() {
  local part='' follow='' word
  for word in "$@"; do
    case "$word" in
      -f | --follow) follow=--follow ;;
      -*) fail "There is no option $word." ;;
      *) part=$word ;;
    esac
  done
  recall_folder
  case " $parts setup  " in *" $part "*) ;; *) fail "There is no part '$part'. There are: $parts setup" ;; esac
  # shellcheck disable=SC2086
  compose logs --tail "$([ -n "$part" ] && echo 100 || echo 5)" $follow $part
}

reset_stack() {
  local answer=''
  case "$*" in '' | --yes) ;; *) fail "reset takes no argument but --yes, not: $*" ;; esac
  recall_folder
  if [ "${1:-}" != --yes ]; then
    [ -t 0 ] || fail "reset deletes all data; say so with ./docker_run.sh reset --yes"
    printf "This deletes all prices, alerts, mails and Airflow's history of %s. Type yes: " "$stack"
    read -r answer
    [ "$answer" = yes ] || fail "Nothing was deleted."
  fi
  delete_data
  echo "All data is deleted. $env_file with its secrets is kept."
}

run_coinwatch() {
  local container terminal=()
  container=$(docker ps -q --filter "label=$label=$stack" --filter "label=$service_label=airflow-scheduler")
  [ -n "$container" ] || fail "Nothing runs. Start it with ./docker_run.sh"
  if [ -t 0 ] && [ -t 1 ]; then terminal=(-it); fi
  exec docker exec -i ${terminal[@]+"${terminal[@]}"} "$container" coinwatch "$@"
}

main "$@"
