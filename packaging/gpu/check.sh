#!/usr/bin/env bash
# Runs tests with layers on a GPU and prints one table of memory and speed (docs/measurements.md), without
# the internet, in the folder that pack.sh packed or in a checkout that is set up. The back end is built first.
#   check.sh [cuda|vulkan|software] [MODEL.gguf]     software: a small GPU made of software; MODEL: what is measured
# FIGURES="P9 fit" and ROUNDS=1 make the table shorter, PYTEST_ADDOPTS="-k judge" the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/setup/device.sh
device=${1:-$(if nvidia_driver && command -v nvcc >/dev/null; then echo cuda; else echo vulkan; fi)}
build=$PWD/.gpu-build/$device backend=$device model=${2:-} figures="P1 P3 P5 P7 P9 fit"
devices=tests/core/models/test_fit.py::test_ggml_names_the_cpu_in_this_process_and_another_and_nothing_without_its_library
tests="tests/core/engines/local tests/core/demo_pair $devices"
# A GPU made of software takes hours for these: it has tests of its own, and the demo pair is measured, not its pace.
if [ "$device" = software ]; then
  build=$PWD/.gpu-build/test backend=vulkan model=${2:-resources/demo_pair/large.gguf} figures="P3 P7 P9 fit"
  tests=tests/gpu
fi

if [ -d wheels ]; then
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -m pip --quiet install --no-index --no-deps wheels/*.whl
  mkdir -p .gpu-build
  tar -xzf ggml-source.tar.gz -C .gpu-build
fi
packaging/gpu/build.sh "$(basename "$build")"
export GGML_BACKEND_PATH="$build/libggml-$backend.so" GGML_NO_BACKTRACE=1 PYTHONPATH="$PWD/packaging/launcher:$PWD"
if [ "$device" = software ]; then # as in tests/gpu/conftest.py
  export VK_LAYER_PATH="$build" VK_INSTANCE_LAYERS=VK_LAYER_BATON_small_gpu MESA_SHADER_CACHE_DIR="$build/shaders"
  export BATON_GPU_MIB=6144 LP_NUM_THREADS=1 BATON_GPU_BUILD="$build"
  BATON_GPU_STATE=$(mktemp -d)
  export BATON_GPU_STATE
  trap 'rm -rf "$BATON_GPU_STATE"' EXIT
fi
failed=0
# shellcheck disable=SC2086  # lists of files and figures
.venv/bin/python -m pytest -q -W "ignore:Unknown config option" $tests || failed=1
if [ -n "$model" ]; then BATON_BENCH_MODEL=$(realpath "$model"); export BATON_BENCH_MODEL; fi
# shellcheck disable=SC2086
.venv/bin/python -m tests.bench ${FIGURES:-$figures} --rounds "${ROUNDS:-3}" || failed=1
exit $failed
