#!/usr/bin/env bash
# Runs every check and test that this machine can run; the summary lists what was skipped, and why.
set -uo pipefail

usage() {
  cat <<'TEXT'
Runs coinwatch's checks and tests.

  ./run_tests.sh                    run everything
  ./run_tests.sh SUITE...           run some suites: lint unit integration web dags docker e2e
  ./run_tests.sh SUITE... -- ARGS   pass arguments to pytest, for example: ./run_tests.sh unit -- -n0 -x -k quotes

lint         ruff, mypy, import-linter, shellcheck, yamllint
unit         rules and calculations, without any service
integration  the library against real servers: Postgres, SMTP, StatsD, carbon, graphite-web, the exchange server
web          pages and API; in Chromium if there is one
dags         the DAGs in a real Airflow
docker       the Dockerfiles and the Compose file; with COINWATCH_TEST_DOCKER=1, also builds and starts the images
e2e          the whole stack, started by local_run.sh on its own ports and data

Tests run in parallel, one process per core. A running stack is not affected.
TEXT
}

project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
cd "$project" || exit 1

suites=()
arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage && exit 0 ;;
    lint | unit | integration | web | dags | docker | e2e) suites+=("$1") ;;
    --) shift && arguments=("$@") && break ;;
    *) usage >&2 && echo "Unknown suite: $1" >&2 && exit 2 ;;
  esac
  shift
done
[ ${#suites[@]} -gt 0 ] || suites=(lint unit integration web dags docker e2e)

# shellcheck source=local/uv.sh
. local/uv.sh
uv=$(find_uv) || exit 1
echo "== installing packages"
sync_packages "$uv" --group dev || exit 1
export PATH="$project/.venv/bin:$PATH"

failed=()
check() {
  local start=$SECONDS
  printf '== %s\n' "$*"
  "$@" || failed+=("$1")
  printf '== %s: %d s\n' "$1" $((SECONDS - start))
}

chosen() {
  case " ${suites[*]} " in *" $1 "*) ;; *) return 1 ;; esac
}

if chosen lint; then
  check ruff check
  check ruff format --check
  check mypy
  check lint-imports
  mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
  check shellcheck --external-sources "${scripts[@]}"
  check yamllint --strict .
fi

# In the order in which workers start them: suites that occupy a single worker come first.
tests=()
for suite in e2e dags docker integration web unit; do
  if chosen "$suite"; then tests+=("tests/$suite"); fi
done

if [ ${#tests[@]} -gt 0 ]; then
  check plugins/coinwatch/web/build_assets.sh
  check pytest --numprocesses=logical --maxprocesses=4 --no-loadscope-reorder "${tests[@]}" "${arguments[@]}"
fi

if [ ${#failed[@]} -gt 0 ]; then
  printf '\nFailed after %d s: %s\n' "$SECONDS" "${failed[*]}"
  exit 1
fi
printf '\nAll checks passed in %d s: %s\n' "$SECONDS" "${suites[*]}"
