#!/usr/bin/env bash
# Installs Baton as a person would, and starts it from another folder: `pip install`, `uv tool install` and `pipx install`
# with each Python given, from a wheel that is built first.
#
#   packaging/check_installs.sh [PYTHON…]      such as python3.11 /usr/bin/python3.13; without any, python3
#
# llama.cpp is compiled once for all of them, or taken from set-up's cache. uv and pipx come from the package index.
# INSTALLS=FOLDER keeps everything there; WAYS="pip uv" leaves pipx out.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${INSTALLS:-$(mktemp -d)}
[ -n "${INSTALLS:-}" ] || trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/wheels" "$folder/elsewhere"
log=$folder/log
: >"$log"
passed=0 failed=0
version=$(sed -n 's/.*==\([0-9.]*\).*/\1/p' packaging/lock/llama.txt)

quietly() { "$@" >>"$log" 2>&1; }
seconds() { echo "$(($(date +%s) - $1)) s"; }

# What `bin` has installed, in an environment and a home of its own: versions, and an answer of the demo pair.
check() {
  local what=$1 bin=$2 began=$3 home answer took
  home=$(mktemp -d "$folder/home.XXXX")
  took=$(seconds "$began")
  local clean=(env -i HOME="$home" PATH=/usr/bin:/bin NO_COLOR=1 LANG=C.UTF-8)
  if answer=$(cd "$folder/elsewhere" && "${clean[@]}" "$bin/baton" --version 2>>"$log") &&
    (cd "$folder/elsewhere" && "${clean[@]}" "$bin/baton" demo 2>>"$log" | grep -q '✓') &&
    (cd "$folder/elsewhere" && "${clean[@]}" "$bin/baton-window" --version >>"$log" 2>&1) &&
    (cd "$folder/elsewhere" && "${clean[@]}" "$bin/baton" history list >>"$log" 2>&1); then
    echo "$what: installed in $took; $(echo "$answer" | head -n 1 | cut -d , -f 1,2))"
    passed=$((passed + 1))
  else
    echo "$what: FAILED; the end of $log:"
    tail -n 20 "$log"
    failed=$((failed + 1))
  fi
}

with_pip() {
  local began
  began=$(date +%s)
  "$1" -m venv "$2/pip"
  quietly "$2/pip/bin/python" -m pip install --find-links "$folder/wheels" "$wheel" || true
  check "pip install, Python $3" "$2/pip/bin" "$began"
}

with_uv() {
  local began
  began=$(date +%s)
  quietly env UV_TOOL_DIR="$2/uv" UV_TOOL_BIN_DIR="$2/uv-bin" "$folder/tools/bin/uv" tool install --python "$1" \
    --find-links "$folder/wheels" "$wheel" || true
  check "uv tool install, Python $3" "$2/uv-bin" "$began"
}

with_pipx() {
  local began
  began=$(date +%s)
  quietly env PIPX_HOME="$2/pipx" PIPX_BIN_DIR="$2/pipx-bin" PIPX_MAN_DIR="$2/pipx-man" "$folder/tools/bin/pipx" install \
    --python "$1" --pip-args="--find-links $folder/wheels" "$wheel" || true
  check "pipx install, Python $3" "$2/pipx-bin" "$began"
}

[ $# -gt 0 ] || set -- python3
[ -x "$folder/tools/bin/pipx" ] || {
  "$1" -m venv "$folder/tools" && quietly "$folder/tools/bin/python" -m pip install uv pipx build
}
if ! ls "$folder"/wheels/llama_cpp_python-"$version"-*.whl >/dev/null 2>&1; then
  found=$(find "${XDG_CACHE_HOME:-$HOME/.cache}/baton/wheels" -path "*/cpu-*/llama_cpp_python-$version-*.whl" 2>/dev/null |
    head -n 1)
  if [ -n "$found" ]; then cp "$found" "$folder/wheels/"
  else
    echo "compiling llama.cpp"
    quietly "$folder/tools/bin/python" -m pip wheel --no-deps --wheel-dir "$folder/wheels" -r packaging/lock/llama.txt
  fi
fi
rm -rf "$folder"/wheels/baton_reasoning-*
git archive HEAD | (mkdir -p "$folder/source" && tar -x -C "$folder/source")
quietly "$folder/tools/bin/python" -m build --wheel --outdir "$folder/wheels" "$folder/source"
wheel=$(ls "$folder"/wheels/baton_reasoning-*.whl)
echo "$(basename "$wheel"), $(du -k "$wheel" | cut -f1) KiB"

for python; do
  name=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
  rm -rf "${folder:?}/$name" && mkdir -p "$folder/$name"
  for way in ${WAYS:-pip uv pipx}; do "with_$way" "$(command -v "$python")" "$folder/$name" "$name"; done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
