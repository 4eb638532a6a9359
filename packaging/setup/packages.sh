# shellcheck shell=bash disable=SC2046,SC2086,SC2116  # lists of package names are split into words
# Packages of the system: installed with apt as root or with sudo, else named in one line. Sourced by setup.sh.

package_manager() {
  local name
  for name in apt-get dnf pacman; do
    if command -v $name >/dev/null 2>&1; then echo $name; return; fi
  done
}

# The packages of a purpose: python, venv, window (Qt's libraries), compiler, vulkan (to run), vulkan-build.
packages_of() {
  case $(package_manager)-$1 in
    apt-get-python) echo python3 python3-venv ;;
    apt-get-venv) echo python3-venv ;;
    apt-get-window) echo libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 "$(glib)" libxcb-cursor0 \
      libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxkbcommon-x11-0 ;;
    apt-get-compiler) echo g++ ;;
    apt-get-vulkan) echo libvulkan1 mesa-vulkan-drivers ;;
    apt-get-vulkan-build) echo libvulkan-dev glslc spirv-headers ;;
    dnf-python | dnf-venv) echo python3 ;;
    dnf-window) echo libglvnd-egl libglvnd-glx libxkbcommon libxkbcommon-x11 dbus-libs fontconfig glib2 \
      xcb-util-cursor xcb-util-wm xcb-util-keysyms ;;
    dnf-compiler) echo gcc-c++ ;;
    dnf-vulkan) echo vulkan-loader mesa-vulkan-drivers ;;
    dnf-vulkan-build) echo vulkan-loader-devel vulkan-headers glslc spirv-headers-devel ;;
    pacman-python | pacman-venv) echo python ;;
    pacman-window) echo libglvnd libxkbcommon libxkbcommon-x11 dbus fontconfig glib2 xcb-util-cursor xcb-util-wm \
      xcb-util-keysyms ;;
    pacman-compiler) echo gcc ;;
    pacman-vulkan) echo vulkan-icd-loader vulkan-driver ;;
    pacman-vulkan-build) echo vulkan-headers vulkan-icd-loader shaderc spirv-headers ;;
  esac
}

glib() { if apt-cache show libglib2.0-0t64 >/dev/null 2>&1; then echo libglib2.0-0t64; else echo libglib2.0-0; fi; }

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
        *) echo "Please install the packages for: $*. docs/install.md names them for Debian, Fedora and Arch." ;;
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
