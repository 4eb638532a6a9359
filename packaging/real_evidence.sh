#!/usr/bin/env bash
# Solves problems with the real pair, with each policy and with takeovers by chance: real_evidence.sh PROBLEMS LIMIT
set -euo pipefail
cd "$(dirname "$0")/.."

problems=$1 limit=$2
baton=(.venv/bin/python -m baton_reasoning)
models=.venv/test-models/qwen2.5-coder
arms=(
    small large token-entropy first-token-entropy every-step cascade baton
    random-as-token-entropy random-spans-as-token-entropy
)

if [[ -e real-evidence/batch.json ]]; then
    exec "${baton[@]}" batch resume real-evidence
fi
exec "${baton[@]}" batch run "$problems" --limit "$limit" --max-tokens 512 --context 1024 \
    --small "$models-0.5b-instruct-q4_k_m.gguf" --large "$models-1.5b-instruct-q4_k_m.gguf" \
    "${arms[@]/#/--arm=}" --out real-evidence
