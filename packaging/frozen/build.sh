#!/usr/bin/env bash
# `make frozen`: the program as one folder that needs no Python, dist/baton, packed as dist/baton-VERSION-linux-ARCH.tar.gz,
# and as an AppImage where `appimagetool` is installed; APPIMAGE_RUNTIME=FILE is the runtime to put into it.
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
pip="$environment/bin/python -m pip --quiet --disable-pip-version-check"
if [ ! -x $environment/bin/pyinstaller ] || [ "$(cat $environment/.made 2>/dev/null)" != "$(cat packaging/lock/*.txt | cksum)" ]; then
  echo "baton: making $environment"
  rm -rf $environment
  "${PYTHON:-python3}" -m venv $environment
  $pip install --require-hashes --no-deps -r packaging/lock/frozen.txt
  if ! ls "$cache"/*"$(echo "$llama" | sed -n 's/.*==\([0-9.]*\).*/\1/p')"*.whl >/dev/null 2>&1; then
    echo "baton: compiling llama.cpp (its back ends are replaced by plug-ins)"
    CMAKE_ARGS="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF" $pip wheel --no-deps --no-cache-dir --no-binary llama-cpp-python \
      --require-hashes --wheel-dir "$cache" -r packaging/lock/llama.txt
  fi
  $pip install --no-deps "$cache"/*.whl
  # GTK's platform theme would bring the system's GTK along.
  rm -f $environment/lib/python3*/site-packages/PySide6/Qt/plugins/platformthemes/libqgtk3.so
  cat packaging/lock/*.txt | cksum >$environment/.made
fi
$pip install --no-deps --no-build-isolation --force-reinstall .
rm -rf build/lib build/bdist.* build/Baton.AppDir ./*.egg-info dist/baton
$environment/bin/python $here/notices.py packaging/lock/run.txt $here/THIRD-PARTY-NOTICES.txt
BATON_GGML=$PWD/.gpu-build/portable $environment/bin/pyinstaller --noconfirm --log-level WARN \
  --distpath dist --workpath build/frozen $here/baton.spec
$environment/bin/python $here/notices.py packaging/lock/run.txt dist/baton/THIRD-PARTY-NOTICES.txt dist/baton
cp LICENSE $here/$id.desktop $here/$id.metainfo.xml dist/baton/
cp resources/icons/baton.svg dist/baton/$id.svg
if find dist/baton -name 'libreadline*' -o -name 'libgtk-*' -o -name 'libgdk-*' | grep .; then
  echo "baton: a library that must stay out was collected" >&2
  exit 1
fi

if command -v desktop-file-validate >/dev/null; then desktop-file-validate dist/baton/$id.desktop; fi
if command -v appstreamcli >/dev/null; then appstreamcli validate --no-net dist/baton/$id.metainfo.xml; fi

version=$($environment/bin/python -c 'from baton_reasoning.core.version import version; print(version())')
name=baton-$version-linux-$(uname -m)
tar -C dist -czf "dist/$name.tar.gz" baton
echo "baton: dist/$name.tar.gz, $(du -h "dist/$name.tar.gz" | cut -f1)"

if command -v appimagetool >/dev/null; then
  image=build/Baton.AppDir
  mkdir -p $image/usr/lib $image/usr/share/metainfo $image/usr/share/applications
  cp -a dist/baton $image/usr/lib/baton
  cp $here/$id.desktop $image/
  cp $here/$id.desktop $image/usr/share/applications/
  cp $here/$id.metainfo.xml $image/usr/share/metainfo/$id.appdata.xml
  cp resources/icons/baton.svg $image/$id.svg
  cp $here/AppRun $image/AppRun
  appimagetool ${APPIMAGE_RUNTIME:+--runtime-file "$APPIMAGE_RUNTIME"} $image "dist/$name.AppImage"
fi
[ -z "${SMOKE:-}" ] || python3 $here/smoke.py dist/baton
