# shellcheck shell=bash disable=SC2046,SC2086,SC2116  # lists of package names are split into words
# Packages of the system: installed with apt as root or with sudo, else named in one line. Sourced by setup.sh.

package_manager() {
  local name
  for name in apt-get dnf pacman; do
    if command -v $name >/dev/null 2>&1; then echo $name; return; fi
  done
}

# A value of the file that `baton doctor` reads as well.
shared() { sed -n "s/^$1 //p" resources/set_up.txt; }

# The packages of a purpose: python, venv, window (Qt's libraries), compiler, vulkan (to run), vulkan-build.
packages_of() {
  local names
  names=$(shared "$(package_manager) $1")
  case $names in # as Debian 12 and Ubuntu 22.04 call it
    *libglib2.0-0t64*) apt-cache show libglib2.0-0t64 >/dev/null 2>&1 || names=${names/libglib2.0-0t64/libglib2.0-0} ;;
  esac
  echo "$names"
}

# "Please run: …" for purposes, in the words of this system's package manager.
install_line() {
  local purpose names=''
  for purpose; do names="$names $(packages_of "$purpose")"; done
  names=$(echo $names)
  case $(package_manager) in
    apt-get) echo "Please run: sudo apt install $names" ;;
    dnf) echo "Please run: sudo dnf install $names" ;;
    pacman) echo "Please run: sudo pacman -S --needed $names" ;;
    *) case $(uname)-$1 in
        Darwin-python) echo "Please install it from python.org or with Homebrew: brew install python" ;;
        Darwin-compiler) echo "Please run: xcode-select --install" ;;
        *) echo "Please install the packages for: $*. resources/set_up.txt names them for Debian, Fedora and Arch." ;;
      esac ;;
  esac
}

# Installs the packages of some purposes, or fails after naming the command that would.
install_packages() {
  local sudo='' names='' purpose
  if [ "$(package_manager)" = apt-get ]; then
    for purpose; do names="$names $(packages_of "$purpose")"; done
    [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
    if [ -z "$sudo" ] || $sudo true 2>/dev/null; then
      names=$(echo $names)
      say "installing $names"
      $sudo apt-get -qq update >/dev/null 2>&1 || true # an old list may do
      if $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $names >/dev/null 2>&1
      then return 0
      fi
    fi
  fi
  warn "$(install_line "$@")"
  return 1
}

has_library() { case $(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null) in *"$1"*) ;; *) return 1 ;; esac; }

# Qt's libraries, by the files that Qt looks for. Baton works in the terminal without them, so they are no condition.
window_packages() {
  local library
  [ "$(uname)" = Linux ] || return 0
  for library in libEGL.so.1 libGL.so.1 libxkbcommon.so.0 libdbus-1.so.3 libfontconfig.so.1 libglib-2.0.so.0 \
    libxcb-cursor.so.0 libxcb-icccm.so.4 libxcb-keysyms.so.1 libxcb-shape.so.0 libxkbcommon-x11.so.0; do
    if ! has_library "$library"; then
      install_packages window || warn "Until then the window cannot open; the terminal commands work."
      return 0
    fi
  done
}

compiler_packages() {
  command -v c++ >/dev/null 2>&1 || install_packages compiler
}

vulkan_packages() {
  [ "$(uname)" = Linux ] || return 0
  has_library libvulkan.so.1 || install_packages vulkan
}

vulkan_build_packages() {
  vulkan_packages || return 1
  { command -v glslc >/dev/null 2>&1 && [ -e "${INCLUDE:-/usr/include}/vulkan/vulkan.h" ] &&
    [ -e "${INCLUDE:-/usr/include}/spirv/unified1/spirv.hpp" ]; } || install_packages vulkan-build
}
