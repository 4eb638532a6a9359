#!/usr/bin/env bash
# Runs the tests on Windows' Python: `packaging/windows/tests.sh [pytest's options, or what to test]`. All of them run
# portion by portion, since Wine's server crashes now and then: then that portion begins again, and nothing else is lost.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. packaging/windows/environment.sh
copy_checkout

attempts=3

# portion OPTION …: runs pytest with these options, again if Wine's server crashed.
portion() {
  local attempt code
  for ((attempt = 1; attempt <= attempts; attempt++)); do
    in_windows "$python" -m pytest -rs "$@"
    code=$?
    [ "$code" = "$crashed" ] || return "$code"
    [ "$attempt" = "$attempts" ] || echo "baton: This portion begins again." >&2
  done
  return "$code"
}

for option; do
  case $option in
    tests/*) portion "$@"; exit ;;
  esac
done

status=0
all() {
  echo "baton: $*"
  portion "${options[@]}" "$@" || status=1
}
options=("$@")
all tests/app/terminal
all tests/app --ignore=tests/app/terminal
all tests/core/engines
all tests/core --ignore=tests/core/engines
all tests --ignore=tests/app --ignore=tests/core
exit "$status"
