#!/usr/bin/env bash
# The recipe for macOS: Baton.app with Metal inside, in dist/baton-VERSION-macos-ARCH.dmg. It has not been run yet.
# SIGN="Developer ID Application: …" signs it; APPLE_ID, APPLE_TEAM and APPLE_PASSWORD have it notarised as well.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=packaging/frozen
environment=.venv-frozen

"${PYTHON:-python3}" -m venv $environment
python=$environment/bin/python
export MACOSX_DEPLOYMENT_TARGET=12.0
$python -m pip --quiet install --require-hashes --no-deps -r packaging/lock/frozen.txt
CMAKE_ARGS="-DGGML_METAL=on -DGGML_METAL_EMBED_LIBRARY=on -DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF" \
  $python -m pip --quiet install --no-deps --no-cache-dir --no-binary llama-cpp-python --require-hashes -r packaging/lock/llama.txt
$python -m pip --quiet install --no-deps --no-build-isolation .
rm -rf build ./*.egg-info dist

# The icon in all sizes, from the drawing.
icons=$(mktemp -d)/baton.iconset
mkdir -p "$icons"
for size in 16 32 128 256 512; do
  QT_QPA_PLATFORM=offscreen $python $here/icon.py resources/icons/baton.svg "$icons/icon_${size}x${size}.png" $size
  QT_QPA_PLATFORM=offscreen $python $here/icon.py resources/icons/baton.svg "$icons/icon_${size}x${size}@2x.png" $((size * 2))
done
iconutil --convert icns --output build-baton.icns "$icons"

$python $here/notices.py packaging/lock/run.txt $here/THIRD-PARTY-NOTICES.txt
libraries=$(echo $environment/lib/python3*/site-packages/llama_cpp/lib)
BATON_ICON=$PWD/build-baton.icns BATON_GGML=$PWD/$libraries $environment/bin/pyinstaller --noconfirm \
  --distpath dist --workpath build/frozen $here/baton.spec
python3 $here/smoke.py dist/Baton.app

if [ -n "${SIGN:-}" ]; then
  codesign --deep --force --options runtime --timestamp --sign "$SIGN" dist/Baton.app
fi
version=$($python -c 'from baton_reasoning.core.version import version; print(version())')
image=dist/baton-$version-macos-$(uname -m).dmg
mkdir -p dist/image
mv dist/Baton.app dist/image/
ln -s /Applications dist/image/Applications
hdiutil create -volname Baton -srcfolder dist/image -ov -format UDZO "$image"
if [ -n "${APPLE_ID:-}" ]; then
  xcrun notarytool submit "$image" --apple-id "$APPLE_ID" --team-id "$APPLE_TEAM" --password "$APPLE_PASSWORD" --wait
  xcrun stapler staple "$image"
fi
echo "baton: $image"
