# shellcheck shell=bash disable=SC2154  # the variables are docker_run.sh's
# Part of docker_run.sh: building images, starting and stopping containers, waiting, tables, deleting data.

# In the order of the table. `setup` and `folders` run once at every start.
services="postgres graphite coinnews airflow-api-server airflow-scheduler airflow-dag-processor web mail grafana"
label=com.docker.compose.project
service_label=com.docker.compose.service
ready_seconds=300
dag=collect_prices

compose() {
  local override=()
  if [ -n "${COINWATCH_LEGACY_PORT:-}" ]; then override+=(-f "$project/docker/legacy_port.yaml"); fi
  if [ -f "$folder/compose.override.yaml" ]; then override+=(-f "$folder/compose.override.yaml"); fi
  COINWATCH_DOCKER_SETTINGS="$folder/settings.env" COINWATCH_STATSD_GAUGE_TTL=$(gauge_flushes) \
    docker compose -p "$stack" -f "$project/docker/compose.yaml" ${override[@]+"${override[@]}"} \
    --env-file "$folder/compose.env" --progress plain "$@"
}

# The ids of running containers.
running() {
  docker ps -q --filter "label=$label=$stack"
}

# Compose stores the path of its settings, which are next to .env, in a label of the containers.
find_folder() {
  local settings
  settings=$(docker ps -a --filter "label=$label=$stack" --format "{{.Label \"$label.environment_file\"}}" | head -n 1)
  folder=$(dirname -- "${settings:-$project/.docker/.env}")
  env_file=$folder/.env
  [ -f "$env_file" ] || fail "$env_file does not exist: nothing has been started here yet. Run ./docker_run.sh"
  load_env_file
  if [ -d "$folder/data" ]; then export COINWATCH_DOCKER_DATA="$folder/data"; fi
}

# `docker build` instead of `docker compose build`, which needs a newer buildx than some distributions have.
build_images() {
  local log="$folder/build.log" process line=''
  if [ "${COINWATCH_DOCKER_BUILD:-yes}" = no ]; then return; fi
  say "building the images (takes a few minutes the first time)"
  {
    build_image coinwatch "$(setting COINWATCH_IMAGE coinwatch:local)" &&
      build_image coinwatch-airflow "$(setting COINWATCH_AIRFLOW_IMAGE coinwatch-airflow:local)"
  } >"$log" 2>&1 &
  process=$!
  while kill -0 "$process" 2>/dev/null; do
    sleep 1
    if [ $((SECONDS % 15)) -eq 0 ]; then
      line=$(grep -E '^#[0-9]+ \[' "$log" | tail -n 1 | cut -c1-100) || true
      [ -z "$line" ] || say "building: ${line#* }"
    fi
  done
  wait "$process" || {
    tail -n 15 "$log" >&2
    fail "The images could not be built; see the error above, and the whole log in $log"
  }
  say "the images are built"
}

build_image() {
  local name arguments=(--build-arg "PYTHON_IMAGE=$(setting PYTHON_IMAGE python:3.12-slim-bookworm)")
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name"); fi
  done
  DOCKER_BUILDKIT=1 docker build --progress plain --file "$project/docker/Dockerfile" --target "$1" --tag "$2" \
    "${arguments[@]}" "$project"
}

# Compose waits for dependencies; wait_for_containers waits for everything.
start_containers() {
  local wanted=' ' service
  for service in $services; do
    case " ${COINWATCH_DOCKER_WITHOUT:-} " in *" $service "*) ;; *) wanted="$wanted$service " ;; esac
  done
  say "starting"
  # shellcheck disable=SC2086
  compose up --detach --no-build --remove-orphans $wanted >"$folder/start.log" 2>&1 &
  starting=$!
  expected=$wanted
}

# Waits until compose has finished and all services are ready: it may replace a container that was ready before.
wait_for_containers() {
  local shown=' ' left=all service name title state address deadline=$((SECONDS + ready_seconds))
  while [ -n "$left" ] || kill -0 "$starting" 2>/dev/null; do
    sleep 1
    kill -0 "$starting" 2>/dev/null || wait "$starting" || start_failed
    left=$expected
    while IFS='|' read -r name title state address; do
      case "$expected $state" in
        *" $name "*" keeps crashing") give_up "$name" "$title keeps crashing" ;;
        *" $name "*" ready")
          left=${left/ $name / }
          case "$shown" in *" $name "*) continue ;; esac
          say "$(printf '%-22s ready  %s' "$title" "$address")"
          shown="$shown$name "
          ;;
      esac
    done <<TEXT
$(service_states)
TEXT
    left=${left// /}
    if [ "$SECONDS" -gt "$deadline" ]; then
      for service in $expected; do
        case "$shown" in *" $service "*) ;; *) give_up "$service" "$service is not ready after $ready_seconds s" ;; esac
      done
      give_up postgres "A service does not stay ready"
    fi
  done
  wait "$starting" || start_failed
}

# name|title|state|address of every service that has a container, in the order of $services.
service_states() {
  local format service all
  format="{{.Label \"$service_label\"}}|{{.Label \"coinwatch.title\"}}|{{.State}} {{.Status}}|{{.Label \"coinwatch.address\"}}"
  all=$(docker ps -a --filter "label=$label=$stack" --format "$format")
  for service in $services; do
    printf '%s\n' "$all" | awk -F'|' -v service="$service" '
      $1 == service {
        state = $3
        if (state ~ /\(healthy\)/) state = "ready"
        else if (state ~ /^restarting/) state = "keeps crashing"
        else if (state ~ /\(unhealthy\)/) state = "not healthy"
        else if (state ~ /^running/) state = "starting"
        else state = "stopped"
        print $1 "|" $2 "|" state "|" $4
      }'
  done
}

# The scheduler first: its running tasks need the other services to finish.
stop_containers() {
  compose stop airflow-scheduler >/dev/null 2>&1 && compose stop >/dev/null 2>&1
}

start_failed() {
  local log="$folder/start.log"
  if grep -q 'service "setup" didn.t complete' "$log"; then give_up setup "The databases could not be set up"; fi
  tail -n 5 "$log" >&2
  stop_containers || true
  fail "The containers could not be started; see the error above. Nothing is left running."
}

give_up() {
  compose logs --no-log-prefix --tail 15 "$1" >&2 || true
  show_health "$1" >&2 || true
  kill "$starting" 2>/dev/null || true
  stop_containers || true
  fail "$2; its last log lines are above. For more, run ./docker_run.sh logs $1. Nothing is left running."
}

# The last output of the service's health check.
show_health() {
  local container output
  container=$(docker ps -a -q --filter "label=$label=$stack" --filter "label=$service_label=$1")
  output=$(docker inspect --format '{{with .State.Health}}{{range .Log}}{{.Output}}{{end}}{{end}}' "$container" | grep . | tail -n 1)
  [ -z "$output" ] || printf 'Its health check reports: %s\n' "$output"
}

interrupted() {
  trap '' INT TERM
  [ -z "$starting" ] || kill "$starting" 2>/dev/null || true
  stop_containers || true
  fail "Interrupted. Nothing is left running." 130
}

wait_for_dag() {
  local reason deadline=$((SECONDS + 90))
  until reason=$(compose exec -T airflow-dag-processor python3 -m local.healthcheck dag "$dag" 2>&1); do
    if [ "$SECONDS" -gt "$deadline" ] || [ "${reason#*cannot be imported}" != "$reason" ]; then
      give_up airflow-dag-processor "Airflow is running, but $reason"
    fi
    sleep 1
  done
  say "$(printf '%-22s %s' DAG "$dag is parsed and active")"
}

# Shows which public exchanges are reachable, at the first start only.
show_probe() {
  local container
  container=$(docker ps -a -q --filter "label=$label=$stack" --filter "label=$service_label=setup")
  docker logs --since "$((SECONDS + 1))s" "$container" 2>/dev/null | sed -n '/^reachable exchanges/,/^Setup is complete/p' |
    grep -v '^Setup is complete' | cut -c1-150 | sed 's/^o/  o/' || true
}

# Aligns |-separated fields in columns.
columns() {
  awk -F'|' '
    { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } fields[NR] = NF }
    END {
      for (row = 1; row <= NR; row++) {
        line = ""
        for (i = 1; i <= fields[row]; i++) line = line sprintf("%-" width[i] "s  ", cell[row, i])
        sub(/ +$/, "", line); print line
      }
    }'
}

show_started() {
  local format addresses missing=${COINWATCH_DOCKER_WITHOUT:-}
  format="{{.Label \"$service_label\"}}|{{.Label \"coinwatch.title\"}}|{{.Label \"coinwatch.address\"}}|{{.Label \"coinwatch.login\"}}"
  addresses=$(docker ps --filter "label=$label=$stack" --format "$format")
  echo
  {
    echo "service|address|login"
    for service in $services; do
      printf '%s\n' "$addresses" | awk -F'|' -v service="$service" -v new="$new_password" '
        $1 == service && $3 != "" {
          if (service == "airflow-api-server" && new != "") $4 = "admin / " new
          print $2 "|" $3 "|" $4
        }'
    done
  } | columns | sed "s|password in .env|password in $env_file|"
  [ -z "$missing" ] || echo "Not started (COINWATCH_DOCKER_WITHOUT): $missing."
  cat <<TEXT

Next steps:
  http://127.0.0.1:$(setting COINWATCH_WEB_PORT 18000)  prices, history, and price alerts
  http://127.0.0.1:$(setting COINWATCH_AIRFLOW_PORT 8080)  the DAG $dag, which runs every few minutes
  http://127.0.0.1:$(setting COINWATCH_MAIL_CATCHER_PORT 11080)  emails to subscribers
  ./docker_run.sh coinwatch prices
  ./docker_run.sh coinwatch subscribe --help
  ./docker_run.sh status | logs [service] | stop

TEXT
}

# Runs a client program in the container of Postgres, as the superuser. The image's password is in its environment.
in_postgres() {
  local container
  container=$(docker ps -q --filter "label=$label=$stack" --filter "label=$service_label=postgres")
  [ -n "$container" ] || fail "Nothing is running. Start with ./docker_run.sh"
  # shellcheck disable=SC2016
  docker exec -i "$container" sh -c 'PGPASSWORD=$POSTGRES_PASSWORD PGHOST=127.0.0.1 PGUSER=postgres exec "$@"' sh "$@"
}

# With a temporary name, so that an interrupted backup is not taken for a complete one.
back_up() {
  (umask 077 && in_postgres pg_dump --format=custom coinwatch >"$1.partial") || {
    rm -f "$1.partial"
    fail "The backup failed; see the error above."
  }
  mv "$1.partial" "$1"
}

# The data is restored to a second database first, so that an unusable backup changes nothing.
restore_backup() {
  sql "DROP DATABASE IF EXISTS coinwatch_restored" "CREATE DATABASE coinwatch_restored OWNER coinwatch_owner"
  in_postgres pg_restore --exit-on-error --dbname=coinwatch_restored <"$1" || {
    sql "DROP DATABASE coinwatch_restored"
    fail "$1 cannot be restored; see the error above. Nothing was changed."
  }
  sql "DROP DATABASE IF EXISTS coinwatch_replaced" "ALTER DATABASE coinwatch CONNECTION LIMIT 0" \
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'coinwatch'" \
    "ALTER DATABASE coinwatch RENAME TO coinwatch_replaced" "ALTER DATABASE coinwatch_restored RENAME TO coinwatch" \
    "DROP DATABASE coinwatch_replaced WITH (FORCE)"
  compose run --rm --no-deps setup >"$folder/start.log" 2>&1 || {
    tail -n 5 "$folder/start.log" >&2
    fail "The restored database could not be prepared; see the error above."
  }
}

sql() {
  local statement arguments=()
  for statement in "$@"; do arguments+=(--command "$statement"); done
  in_postgres psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --output=/dev/null postgres "${arguments[@]}" ||
    fail "The database could not be replaced; see the error above."
}

# Data folders belong to the containers' users, so a container deletes their contents.
delete_data() {
  if [ -n "${COINWATCH_DOCKER_DATA:-}" ]; then
    stop_containers
    compose run --rm --no-deps --volume "$COINWATCH_DOCKER_DATA:/all" folders \
      find /all -mindepth 1 -delete >/dev/null 2>&1 || fail "The data in $COINWATCH_DOCKER_DATA could not be deleted."
  fi
  compose down --volumes --remove-orphans >/dev/null 2>&1 || fail "The containers of $stack could not be removed."
}
