# shellcheck shell=bash disable=SC2034,SC2154  # its variables are the other parts' as well
# Which GPU this machine has, and so which back ends of llama.cpp to try. Sourced by setup.sh.

# The back end and the reason that an earlier set-up wrote down, in two lines.
remembered=.venv/.backend

# Sets `backend`, the first to try; `found`, the device in words ("" without a GPU); and `choice`, who chose: `person`
# (then no other back end will do), `before` (an earlier set-up) or `device`.
choose_backend() {
  found=
  case ${GPU:-} in
    "" | auto)
      if [ -z "${GPU:-}" ] && [ -s "$remembered" ]; then
        backend=$(sed -n 1p "$remembered") choice=before
      else
        choice=device
        find_device
      fi ;;
    cuda | metal | vulkan | cpu) backend=$GPU choice=person ;;
    *) fail "GPU=$GPU is not known. Choose auto, cuda, metal, vulkan or cpu." ;;
  esac
}

find_device() {
  if [ "$(uname)" = Darwin ]; then
    backend=metal found="this Mac's GPU"
  elif nvidia_driver; then
    backend=cuda found="an NVIDIA GPU"
  elif vulkan_device; then
    backend=vulkan found="a GPU of the driver $driver"
  else
    backend=cpu
  fi
}

# The driver, not the toolkit: a prebuilt wheel needs no compiler.
nvidia_driver() { case $(nvidia-smi -L 2>/dev/null) in *GPU*) ;; *) return 1 ;; esac; }

# The version of CUDA that the driver can run, such as 128 for 12.8.
cuda_version() { nvidia-smi | sed -n 's/.*CUDA Version: *\([0-9]*\)\.\([0-9]\).*/\1\2/p' | head -n 1; }

# A card of AMD, Intel, NVIDIA's free driver …: a render node of the kernel whose driver is not a virtual one's. ROCm's
# cards are among them, and run by Vulkan. Sets `driver`.
vulkan_device() {
  local node
  for node in "${SYS_DRM:-/sys/class/drm}"/renderD*; do
    [ -e "$node/device/driver" ] || continue
    driver=$(basename "$(readlink "$node/device/driver")")
    case $driver in virtio-pci | virtio_gpu | vgem | vkms | bochs* | hyperv*) ;; *) return 0 ;; esac
  done
  return 1
}
