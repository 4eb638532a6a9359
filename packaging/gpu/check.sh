#!/usr/bin/env bash
# On a machine with a CUDA or Vulkan GPU, without the internet, in the folder that pack.sh packed or in a checkout that is
# set up: builds the back end, runs the engines' tests with layers on the device, and prints the table of table.py and that
# of the bench (docs/measurements.md).
#   check.sh [cuda|vulkan] [MODEL.gguf]     MODEL: what both measure, instead of the demo pair's large model
# FIGURES="handoff" and ROUNDS=1 make the bench shorter, PYTEST_ADDOPTS="-k greedy" the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/setup/device.sh
backend=${1:-$(if nvidia_driver && command -v nvcc >/dev/null; then echo cuda; else echo vulkan; fi)}
export PYTHONPATH=$PWD/packaging/launcher:$PWD

if [ -d wheels ]; then
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -m pip --quiet install --no-index --no-deps wheels/*.whl
  mkdir -p .gpu-build
  tar -xzf ggml-source.tar.gz -C .gpu-build
fi
packaging/gpu/build.sh "$backend"
export GGML_BACKEND_PATH="$PWD/.gpu-build/$backend/libggml-$backend.so" GGML_NO_BACKTRACE=1
failed=0
.venv/bin/python -m pytest -q -W "ignore:Unknown config option" tests/core/engines/local tests/core/demo_pair tests/core/models/test_devices.py || failed=1
.venv/bin/python packaging/gpu/table.py ${2:+"$2"}
# The bench without the window and without servers, with layers on the device. SmolLM2 is not packed: without MODEL, the
# demo pair's large model takes its place.
if [ -n "${2:-}" ]; then BATON_BENCH_MODEL=$(realpath "$2"); export BATON_BENCH_MODEL; fi
# shellcheck disable=SC2086  # a list of figures
.venv/bin/python -m tests.bench ${FIGURES:-P1 P2 P4 P5 P7 P9 handoff} --rounds "${ROUNDS:-3}" || failed=1
exit $failed
