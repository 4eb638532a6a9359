#!/usr/bin/env bash
# `make lock`: writes the lock files again from pyproject.toml. Every package is pinned with its hashes, for every system
# and Python from 3.11 on; no address of a registry is written, so a mirror serves as well. llama-cpp-python is apart,
# because set-up chooses how it is built.
#   run.txt     what the program needs     frozen.txt  … and PyInstaller
#   test.txt    … and its tests            llama.txt   llama-cpp-python alone
set -euo pipefail
upgrade=${1-} # --upgrade: newer versions, not those that the files name
cd "$(dirname "$0")/../.."

if command -v uv >/dev/null; then uv=uv
else .venv/bin/python -m pip --quiet install uv; uv=.venv/bin/uv
fi

lock() {
  local name=$1
  shift
  "$uv" --quiet pip compile ${upgrade:+"$upgrade"} --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header --output-file "packaging/lock/$name.txt" "$@"
  echo "packaging/lock/$name.txt: $(grep -c == "packaging/lock/$name.txt") packages"
}

project=(--no-emit-package llama-cpp-python pyproject.toml packaging/lock/build.in)
lock run --extra serve --extra xlsx "${project[@]}"
lock test --extra dev --constraints packaging/lock/run.txt "${project[@]}"
lock frozen --extra serve --extra xlsx --extra frozen --constraints packaging/lock/run.txt "${project[@]}"
grep -o 'llama-cpp-python==[0-9.]*' pyproject.toml | lock llama --no-deps -
