#!/usr/bin/env bash
# On a machine with a CUDA or Vulkan GPU, without the internet, in the folder that pack.sh packed or in a checkout that is
# set up: builds the back end, runs the engines' tests with layers on the device, and prints one table.
#   check.sh [cuda|vulkan] [MODEL.gguf]     MODEL: what the table measures, instead of the demo pair's large model
set -euo pipefail
cd "$(dirname "$0")/../.."
backend=${1:-$(if command -v nvcc >/dev/null; then echo cuda; else echo vulkan; fi)}

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
PYTHONPATH=$PWD .venv/bin/python packaging/gpu/table.py ${2:+"$2"}
exit $failed
