#!/usr/bin/env bash
# Packs what a machine with a GPU and without the internet needs for check.sh, into dist/gpu-check.tar.gz (under 60 MB):
# the program and its tests, wheels of its dependencies but the window's, a CPU llama-cpp-python, and ggml's source.
# PYTHON_VERSION=3.12 is the Python of that machine. Needs `packaging/setup.sh test` and `packaging/gpu/build.sh test`
# to have been run here: from them come the wheel and the source.
set -euo pipefail
cd "$(dirname "$0")/../.."
for_python=${PYTHON_VERSION:-3.12}
version=$(sed -n 's/.*==\([0-9.]*\).*/\1/p' packaging/lock/llama.txt)
folder=dist/gpu-check
rm -rf "$folder"
mkdir -p "$folder/wheels"

git ls-files -co --exclude-standard app core resources packaging tests pyproject.toml setup.py README.md LICENSE |
  tar -cf - -T - | tar -xf - -C "$folder"
tar -C .gpu-build -czf "$folder/ggml-source.tar.gz" "source-$version"
for wheel in "${XDG_CACHE_HOME:-$HOME/.cache}"/baton/wheels/cpu-*/*.whl; do cp "$wheel" "$folder/wheels/"; done

# What the engines and their tests import; the window, Parquet and the keyring stay behind.
needed="annotated-types anyio certifi click diskcache filelock fsspec h11 httpcore2 httpx2 huggingface-hub
  idna jinja2 lazy-importer markupsafe msgspec numpy packaging platformdirs psutil pydantic pydantic-core pyyaml tqdm truststore
  typing-extensions typing-inspection pytest pluggy iniconfig pygments hypothesis sortedcontainers"
for name in $needed; do
  # shellcheck disable=SC2016
  awk -v name="$name" '$0 ~ "^" name "==" { on = 1 } /^[^ ]/ && $0 !~ "^" name "==" { on = 0 } on' packaging/lock/test.txt
done >"$folder/requirements.txt"
platforms=
for glibc in 17 24 26 27 28 34; do platforms="$platforms --platform manylinux_2_${glibc}_$(uname -m)"; done
# shellcheck disable=SC2086  # a list of options
"${PYTHON:-.venv/bin/python}" -m pip download --quiet --no-deps --only-binary :all: --python-version "$for_python" --implementation cp \
  --abi "cp${for_python/./}" --abi abi3 --abi none $platforms --platform "manylinux2014_$(uname -m)" \
  --dest "$folder/wheels" -r "$folder/requirements.txt"
tar -C dist -czf dist/gpu-check.tar.gz gpu-check
echo "dist/gpu-check.tar.gz: $(du -h dist/gpu-check.tar.gz | cut -f1). There: tar -xf gpu-check.tar.gz && gpu-check/packaging/gpu/check.sh"
