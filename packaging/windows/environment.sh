# shellcheck shell=bash disable=SC2034  # its variables are the other scripts' as well
# Where Windows lies, and how a program is started in it. Sourced from the repository's root.
windows=$PWD/.windows
drive=$windows/prefix/drive_c
python=$drive/python/python.exe
site=$drive/python/Lib/site-packages
crashed=86 # the status of a run that ended with Wine's server
checkout=$drive/baton # on drive C:, for on Z: Wine shows Linux's files, /proc among them

export WINEPREFIX=$windows/prefix WINEARCH=win64 WINEDEBUG=-all
# A crash ends at once, no menus of the desktop change, and the C++ library is Microsoft's (shims.py).
export WINEDLLOVERRIDES='winedbg.exe,winemenubuilder.exe=d;msvcp140=n,b'
export WINEPATH='C:\python;C:\python\Scripts'
export XDG_RUNTIME_DIR=$windows/run

# Copies the tracked files, and the new ones that git does not ignore, as they are now.
copy_checkout() {
  mkdir -p "$checkout"
  find "$checkout" -mindepth 1 -maxdepth 1 ! -name '*.egg-info' -exec rm -rf {} +
  git ls-files --cached --others --exclude-standard --deduplicate -z |
    tar --create --null --files-from=- --ignore-failed-read --warning=no-failed-read | tar --extract -C "$checkout"
}

# Runs a Windows program in the copy. Wine keeps back variables QT_*; it passes on WINEQT_NAME under the name QT_NAME.
# Wine's server may crash (sock_poll_event), and without it every Windows program waits for ever. So they are killed then.
in_windows() (
  cd "$checkout" || exit
  wineserver || true # it says so by its status if one is running
  wineserver --wait & server=$!
  WINEQT_QPA_PLATFORM=${QT_QPA_PLATFORM:-} wine "$@" \
    2> >(grep --line-buffered -v -E 'wine32|multiarch|apt-get|^wine: failed to open .*syswow64' >&2) & program=$!
  wait -n -p ended "$server" "$program" && code=0 || code=$?
  if [ "$ended" = "$server" ]; then
    echo "baton: Wine's server crashed." >&2
    # shellcheck disable=SC2046  # numbers
    kill -KILL $(env -u WINEPREFIX grep -lszx "WINEPREFIX=$WINEPREFIX" /proc/[0-9]*/environ | cut -d/ -f3) 2>/dev/null
    exit "$crashed"
  fi
  kill "$server"
  exit "$code"
)
