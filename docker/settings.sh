# shellcheck shell=bash disable=SC2034,SC2154  # the variables are docker_run.sh's
# Part of docker_run.sh: the folder, its .env with secrets, what is checked before anything is started.
# Sets folder, env_file and new_password (Airflow's admin password when it is new).

tokens="COINWATCH_SECRET_KEY COINWATCH_API_TOKEN COINWATCH_POSTGRES_PASSWORD COINWATCH_DATABASE_OWNER_PASSWORD
COINWATCH_DATABASE_APP_PASSWORD COINWATCH_DATABASE_READER_PASSWORD COINWATCH_AIRFLOW_DATABASE_PASSWORD
COINWATCH_AIRFLOW_ADMIN_PASSWORD COINWATCH_GRAFANA_ADMIN_PASSWORD COINWATCH_GRAFANA_SECRET_KEY
COINWATCH_GRAPHITE_SECRET_KEY AIRFLOW__API__SECRET_KEY AIRFLOW__API_AUTH__JWT_SECRET"
fernet_key=AIRFLOW__CORE__FERNET_KEY
# The same words as local/environment_file.py; a test compares what the two refuse.
example='change[-_ ]?me.*|changeit|example.*|secret|password|passwort|admin|test|todo|dummy|your[-_ ].*'
example="$example|my[-_ ]?secret.*|<.*>|x{3,}|\.{3,}|replace.*|insert.*|1234.*"
ports="COINWATCH_POSTGRES_PORT=15432 COINWATCH_STATSD_PORT=18125 COINWATCH_GRAPHITE_PORT=18080
COINWATCH_SMTP_PORT=11025 COINWATCH_MAIL_CATCHER_PORT=11080 COINWATCH_COINNEWS_PORT=18600 COINWATCH_AIRFLOW_PORT=8080
COINWATCH_WEB_PORT=18000 COINWATCH_GRAFANA_PORT=13000"

# With a PATH, data goes there too.
choose_folder() {
  case "${1:-}" in
    '' | */* | .) ;;
    *) [ -d "$1" ] || fail "There is no command $1, and no folder of that name; for a new folder write ./$1" ;;
  esac
  folder=${1:-$project/.docker}
  mkdir -p "$folder" 2>/dev/null || fail "The folder $folder cannot be made; choose another PATH."
  folder=$(cd -- "$folder" && pwd -P)
  [ "$folder" != "$project" ] || fail "The .env in $project belongs to ./local_run.sh; choose another PATH, or none."
  [ -w "$folder" ] || fail "You may not write to $folder; choose another PATH."
  if [ -n "${1:-}" ]; then
    export COINWATCH_DOCKER_DATA="$folder/data"
    mkdir -p "$COINWATCH_DOCKER_DATA"
  fi
  env_file=$folder/.env
}

# A setting's value: the environment before .env, otherwise the default.
setting() {
  local value=${!1:-}
  [ -n "$value" ] || value=$(value_in_file "$1")
  printf '%s' "${value:-${2:-}}"
}

value_in_file() {
  sed -n -E "s/^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*//p" "$env_file" | tail -n 1 |
    sed -E -e 's/[[:space:]]+#.*$//' -e 's/[[:space:]]+$//' -e 's/^"(.*)"$/\1/' -e "s/^'(.*)'\$/\1/"
}

is_set() {
  [ -n "${!1+set}" ] || grep -qE "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=" "$env_file"
}

# Adds the secrets that are missing to .env (0600); refuses an empty, short or example one with its name.
prepare_secrets() {
  local name
  (umask 077 && touch "$env_file") 2>/dev/null || fail "$env_file cannot be written; check its owner."
  chmod 600 "$env_file"
  for name in $tokens $fernet_key; do
    if is_set "$name"; then check_secret "$name"; fi
  done
  for name in $tokens $fernet_key; do
    is_set "$name" || add_secret "$name"
  done
}

add_secret() {
  local value
  case "$1" in
    "$fernet_key") value=$(random_text 32) ;;
    *_ADMIN_PASSWORD) value=$(random_text 15) ;;
    *_JWT_SECRET) value=$(random_text 66) ;;
    *) value=$(random_text 33) ;;
  esac
  [ -s "$env_file" ] ||
    echo "# Made by docker_run.sh at first start. Whoever reads this file can read and change everything." >>"$env_file"
  printf '%s=%s\n' "$1" "$value" >>"$env_file" || fail "$env_file cannot be written; is the disk full?"
  if [ "$1" = COINWATCH_AIRFLOW_ADMIN_PASSWORD ]; then new_password=$value; fi
}

random_text() {
  head -c "$1" /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'
}

check_secret() {
  local value advice="Set it to a random value, or remove it from $env_file and the environment, and one is made."
  if [ -n "${!1+set}" ]; then value=${!1}; else value=$(value_in_file "$1"); fi
  [ -n "$value" ] || fail "$1 is empty. $advice"
  ! printf '%s\n' "$value" | grep -qixE "$example" || fail "$1 holds an example value. $advice"
  [ ${#value} -ge 8 ] || fail "$1 has ${#value} characters, it needs at least 8. $advice"
  case "$value" in
    *[!A-Za-z0-9_=.~-]*) fail "$1 may hold letters, digits and - _ . ~ = only, it becomes part of an address. $advice" ;;
  esac
}

check_settings() {
  local minutes replay name
  minutes=$(setting COINWATCH_COLLECT_SCHEDULE_MINUTES 3)
  awk -v m="$minutes" 'BEGIN { exit !(m ~ /^[0-9]*[.]?[0-9]+$/ && m >= 0.05 && m <= 1440) }' ||
    fail "COINWATCH_COLLECT_SCHEDULE_MINUTES is '$minutes'; it must be minutes between 0.05 and 1440."
  replay=$(setting COINWATCH_COINNEWS_REPLAY)
  if [ -n "$replay" ]; then
    [ -f "$replay" ] || fail "COINWATCH_COINNEWS_REPLAY is '$replay'; there is no such file."
    COINWATCH_COINNEWS_REPLAY=$(cd -- "$(dirname -- "$replay")" && pwd -P)/$(basename -- "$replay")
    export COINWATCH_COINNEWS_REPLAY
  fi
  for name in ${COINWATCH_DOCKER_WITHOUT:-}; do
    case "$name" in
      grafana | mail) ;;
      *) fail "COINWATCH_DOCKER_WITHOUT names '$name'; only grafana and mail can be left out." ;;
    esac
  done
}

# How many StatsD flushes of 10 s a gauge outlives its last value: three collection intervals, at least a minute.
gauge_flushes() {
  awk -v m="$(setting COINWATCH_COLLECT_SCHEDULE_MINUTES 3)" \
    'BEGIN { s = m * 180; if (s < 60) s = 60; f = int(s / 10); if (f * 10 < s) f++; print f }'
}

# What the user set for coinwatch beyond compose.yaml, such as exchanges and their keys, for the containers of our code.
write_settings() {
  local names='EXCHANGES__|COINS__|INDEX_|QUOTE_|ALERT_MAX_|EMAILS_|CHANNELS_|OUTBOX_|PRICE_|GAP_|QUALITY_|EXPORT_|LOG_'
  local pattern="^COINWATCH_($names)[A-Za-z0-9_]*=" line
  rm -f "$folder/settings.env"
  (umask 077 && {
    grep -E "$pattern" "$env_file" || true
    env | grep -E "$pattern" | while IFS= read -r line; do
      printf "%s='%s'\n" "${line%%=*}" "${line#*=}"
    done || true
  } >"$folder/settings.env")
}

# Every port must be a number of its own, and free unless this stack is running already: checked before anything is built.
check_ports() {
  local entry name number seen=' '
  for entry in $ports; do
    name=${entry%=*}
    number=$(setting "$name" "${entry#*=}")
    case "$number" in '' | *[!0-9]* | ??????*) number_wrong "$name" "$number" ;; esac
    if [ "$number" -lt 1 ] || [ "$number" -gt 65535 ]; then number_wrong "$name" "$number"; fi
    case "$seen" in *" $number "*) fail "$name is $number, as another port is; give them different ones." ;; esac
    seen="$seen$number "
  done
  [ -z "$(running)" ] || return 0
  for entry in $ports; do
    name=${entry%=*}
    number=$(setting "$name" "${entry#*=}")
    case " ${COINWATCH_DOCKER_WITHOUT:-} $name" in
      *" grafana "*GRAFANA_PORT | *" mail "*_SMTP_PORT | *" mail "*_MAIL_CATCHER_PORT) continue ;;
    esac
    if (exec 3<>"/dev/tcp/127.0.0.1/$number") 2>/dev/null; then
      fail "Port $number is taken by another program; stop that, or set $name to a free one."
    fi
  done
}

number_wrong() {
  fail "$1 is '$2'; it must be a port number from 1 to 65535."
}
