#!/usr/bin/env bash
# `make frozen-windows`: the frozen program for Windows with the CPU alone, built and run under Wine, in dist/windows/baton.
# The release's own comes from packaging/frozen/windows.ps1.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/windows/environment.sh
copy_checkout
here='packaging\frozen'
(
  rm -rf "$drive/frozen"
  in_windows "$python" -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --no-index \
    --target 'C:\frozen' . >"$windows/frozen.log" 2>&1
  export PYTHONPATH='C:\frozen' # rather than the checkout, whose folders lie elsewhere
  in_windows "$python" "$here\\notices.py" 'packaging\lock\run.txt' "$here\\THIRD-PARTY-NOTICES.txt"
  QT_QPA_PLATFORM=offscreen in_windows "$python" "$here\\icon.py" 'resources\icons\baton.svg' baton.ico
  BATON_ICON='C:\baton\baton.ico' BATON_GGML='C:\python\Lib\site-packages\llama_cpp\lib' \
    in_windows "$python" -m PyInstaller --noconfirm --log-level WARN --distpath dist --workpath build "$here\\baton.spec"
)
mkdir -p dist/windows
rm -rf dist/windows/baton
cp -R "$checkout/dist/baton" dist/windows/baton
echo "baton: dist/windows/baton, $(du -sh dist/windows/baton | cut -f1)"
