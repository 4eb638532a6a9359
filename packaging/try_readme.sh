#!/usr/bin/env bash
# Tries README.md as a stranger would, in a bare Debian: `make run`, `make test`, then every other command block in order.
#
#   packaging/try_readme.sh ROOT…     each ROOT made by: debootstrap --variant=minbase --include=make,python3-venv SUITE ROOT
#
# As root, since it changes into ROOT. Nothing but what ROOT holds is used, so llama.cpp is compiled. Models come from a
# Hub on this machine that holds the demo pair under the names of the catalogue. TESTS=no leaves `make test` out.
set -euo pipefail
cd "$(dirname "$0")/.."

inside() { chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 TESTS="${TESTS:-}" \
  bash -c "cd /root/baton && $2" </dev/null; }

# shellcheck disable=SC2016  # the shell inside ROOT expands it
commands='
try() { local began=$SECONDS code=0; echo "\$ $*"; "$@" 2>&1 | tail -n 6 || code=$?; echo "[exit $code, $((SECONDS - began)) s]"
  [ $code -eq 0 ]; }
set -eo pipefail
. /etc/os-release; echo "== $PRETTY_NAME, $(python3 --version)"
try make run
[ "$TESTS" = no ] || try make test
packaging/setup.sh test >/dev/null
try .venv/bin/python -m pytest -m long -q -s tests/test_docs.py -k README'

for root; do
  rm -rf "$root/root/baton" && mkdir -p "$root/root/baton"
  git archive HEAD | tar -x -C "$root/root/baton"
  mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
  mountpoint -q "$root/dev/pts" || mount -t devpts devpts "$root/dev/pts" # tests press Ctrl+C in a terminal
  trap 'umount "$root/dev/pts" "$root/proc"' EXIT
  inside "$root" "$commands"
  umount "$root/dev/pts" "$root/proc"
  trap - EXIT
done
