#!/usr/bin/env bash
# Every check and test this machine can run; the summary at the end says what was left out, and why.
set -uo pipefail

usage() {
  cat <<'TEXT'
Runs coinwatch's checks and tests.

  ./run_tests.sh                    all of them
  ./run_tests.sh SUITE...           some: lint unit integration web dags docker e2e
  ./run_tests.sh SUITE... -- ARGS   with arguments for pytest, for example: ./run_tests.sh unit -- -k quotes -x

lint         ruff, mypy, the one-way rule of imports, shellcheck, yamllint
unit         pure rules
integration  with a real Postgres, SMTP server, StatsD, carbon and graphite-web, and exchanges' far ends
web          the pages and the API, in Chromium where there is one
dags         the DAGs in a real Airflow
docker       the images and the compose file; builds and starts them where COINWATCH_TEST_DOCKER=1 and an engine runs
e2e          the whole stack as local_run.sh starts it, on ports of its own
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
    *) usage >&2 && echo "There is no suite $1." >&2 && exit 2 ;;
  esac
  shift
done
[ ${#suites[@]} -gt 0 ] || suites=(lint unit integration web dags docker e2e)

# shellcheck source=local/uv.sh
. local/uv.sh
uv=$(find_uv) || exit 1
echo "== installing what the tests need"
sync_packages "$uv" --group dev || exit 1
export PATH="$project/.venv/bin:$PATH"

failed=()
check() {
  printf '== %s\n' "$*"
  "$@" || failed+=("$1")
}

tests=()
for suite in "${suites[@]}"; do
  if [ "$suite" = lint ]; then
    check ruff check
    check ruff format --check
    check mypy
    check lint-imports
    mapfile -t scripts < <(git ls-files '*.sh' .ci/run 2>/dev/null)
    check shellcheck --external-sources "${scripts[@]}"
    check yamllint --strict .
  else
    tests+=("tests/$suite")
  fi
done

if [ ${#tests[@]} -gt 0 ]; then
  plugins/coinwatch/web/build_assets.sh || failed+=(build_assets.sh)
  check pytest "${tests[@]}" "${arguments[@]}"
fi

if [ ${#failed[@]} -gt 0 ]; then
  printf '\nFAILED: %s\n' "${failed[*]}"
  exit 1
fi
printf '\nAll checks passed: %s\n' "${suites[*]}"
