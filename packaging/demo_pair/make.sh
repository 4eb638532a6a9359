#!/bin/sh
# Trains the demo pair (about six minutes to train on two cores, and as long to measure), measures it, writes both GGUF files and checks them.
# Usage: packaging/demo_pair/make.sh [SEED]; PYTHON names the program's own interpreter (it has llama-cpp-python).
set -eu
cd "$(dirname "$0")/../.."
seed=${1:-2}
python=${PYTHON:-.venv/bin/python}
built=build/demo_pair
trainer=$built/venv/bin/python

[ -x "$trainer" ] || "$python" -m venv "$built/venv"
"$trainer" -m pip install --quiet torch numpy gguf pydantic

export PYTHONPATH=.:packaging
for stage in train evaluate export; do
    "$trainer" -m demo_pair "$stage" --seed "$seed" --folder "$built"
done
for model in small large; do
    "$python" -m demo_pair.parity "$built/seed-$seed/$model.gguf" "$built/seed-$seed/$model.npz"
    cp "$built/seed-$seed/$model.gguf" resources/demo_pair/
done
