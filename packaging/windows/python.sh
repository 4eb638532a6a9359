#!/usr/bin/env bash
# Runs Windows' Python on a fresh copy of the checkout: `packaging/windows/python.sh -m pytest tests/core`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/windows/environment.sh
copy_checkout
in_windows "$python" "$@"
