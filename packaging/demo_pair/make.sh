#!/bin/sh
# Makes the demo pair from nothing: trains it (a few minutes on two cores), compares the files with PyTorch, puts them in
# place of the shipped ones, and tries them on tuning problems.
# Usage: packaging/demo_pair/make.sh [SMALL_SEED LARGE_SEED]; PYTHON names the program's own interpreter (it has llama-cpp-python).
set -eu
cd "$(dirname "$0")/../.."
small_seed=${1:-1}
large_seed=${2:-2}
python=${PYTHON:-.venv/bin/python}
built=build/demo_pair
trainer=$built/venv/bin/python
made=$built/$small_seed-$large_seed

[ -x "$python" ] || { echo "Run make setup first: $python is not there." >&2; exit 1; }
[ -x "$trainer" ] || "$python" -m venv "$built/venv"
"$trainer" -m pip install --quiet torch numpy gguf pydantic msgspec

export PYTHONPATH=packaging/launcher:packaging
"$trainer" -m demo_pair "$small_seed" "$large_seed" "$made"
for model in small large; do
    "$python" -m demo_pair.parity "$made/$model.gguf" "$made/$model.npz"
done
cp "$made/small.gguf" "$made/large.gguf" resources/demo_pair/
"$python" -m demo_pair.problems
(cd resources/demo_pair && sha256sum small.gguf large.gguf > SHA256SUMS)
rm -rf "$made/evidence"
"$python" -m baton_reasoning evidence --out "$made/evidence" --problem-seed 7 --limit 200 --seeds 1
