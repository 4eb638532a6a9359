#!/usr/bin/env bash
# `make frozen`: the program as one folder that needs no Python, dist/baton, packed as dist/baton-VERSION-linux-ARCH.tar.gz,
# and as an AppImage where `appimagetool` is installed (else its folder dist/Baton.AppDir is left ready for it).
# `make frozen SMOKE=1` then runs both programs with an empty environment, the window under Xvfb.
# The program runs on systems whose C library is at least as new as this one's: build on the oldest to be served.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=packaging/frozen
environment=.venv-frozen
id=io.github.baton_reasoning.Baton

packaging/gpu/build.sh portable
cache=${XDG_CACHE_HOME:-$HOME/.cache}/baton/wheels/portable
llama=$(cat packaging/lock/llama.txt)
if [ ! -x $environment/bin/pyinstaller ] || [ "$(cat $environment/.made 2>/dev/null)" != "$(cat packaging/lock/*.txt | cksum)" ]; then
  echo "baton: making $environment"
  rm -rf $environment
  "${PYTHON:-python3}" -m venv $environment
  pip="$environment/bin/python -m pip --quiet --disable-pip-version-check"
  $pip install --require-hashes --no-deps -r packaging/lock/frozen.txt
  if ! ls "$cache"/*"$(echo "$llama" | sed -n 's/.*==\([0-9.]*\).*/\1/p')"*.whl >/dev/null 2>&1; then
    echo "baton: compiling llama.cpp (its back ends are replaced by plug-ins)"
    CMAKE_ARGS="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF" $pip wheel --no-deps --no-cache-dir --no-binary llama-cpp-python \
      --require-hashes --wheel-dir "$cache" -r packaging/lock/llama.txt
  fi
  $pip install --no-deps "$cache"/*.whl
  $pip install --no-deps --no-build-isolation .
  rm -rf build ./*.egg-info
  # GTK's platform theme would bring the system's GTK along.
  rm -f $environment/lib/python3*/site-packages/PySide6/Qt/plugins/platformthemes/libqgtk3.so
  cat packaging/lock/*.txt | cksum >$environment/.made
fi

rm -rf dist/baton dist/Baton.AppDir
$environment/bin/python $here/notices.py packaging/lock/run.txt $here/THIRD-PARTY-NOTICES.txt
BATON_GGML=$PWD/.gpu-build/portable PYTHONPATH=$PWD/packaging/launcher $environment/bin/pyinstaller --noconfirm --log-level WARN \
  --distpath dist --workpath build/frozen $here/baton.spec
$environment/bin/python $here/notices.py packaging/lock/run.txt dist/baton/THIRD-PARTY-NOTICES.txt dist/baton
cp LICENSE $here/$id.desktop $here/$id.metainfo.xml dist/baton/
cp resources/icons/baton.svg dist/baton/$id.svg
if find dist/baton -name 'libreadline*' -o -name 'libgtk-*' -o -name 'libgdk-*' | grep .; then
  echo "baton: a library that must stay out was collected" >&2
  exit 1
fi

version=$($environment/bin/python -c 'from baton_reasoning.core.version import version; print(version())')
name=baton-$version-linux-$(uname -m)
tar -C dist -czf "dist/$name.tar.gz" baton
echo "baton: dist/$name.tar.gz, $(du -h "dist/$name.tar.gz" | cut -f1)"

mkdir -p dist/Baton.AppDir/usr/lib dist/Baton.AppDir/usr/share/metainfo dist/Baton.AppDir/usr/share/applications
cp -a dist/baton dist/Baton.AppDir/usr/lib/baton
cp $here/$id.desktop dist/Baton.AppDir/
cp $here/$id.desktop dist/Baton.AppDir/usr/share/applications/
cp $here/$id.metainfo.xml dist/Baton.AppDir/usr/share/metainfo/$id.appdata.xml
cp resources/icons/baton.svg dist/Baton.AppDir/$id.svg
cp $here/AppRun dist/Baton.AppDir/AppRun
if command -v desktop-file-validate >/dev/null; then desktop-file-validate dist/Baton.AppDir/$id.desktop; fi
if command -v appstreamcli >/dev/null; then
  appstreamcli validate --no-net dist/Baton.AppDir/usr/share/metainfo/$id.appdata.xml
fi
if command -v appimagetool >/dev/null; then
  appimagetool dist/Baton.AppDir "dist/$name.AppImage"
else
  echo "baton: dist/Baton.AppDir is ready; appimagetool, which makes an AppImage of it, is not installed"
fi
[ -z "${SMOKE:-}" ] || python3 $here/smoke.py dist/baton
