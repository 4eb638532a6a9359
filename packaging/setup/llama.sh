# shellcheck shell=bash disable=SC2154,SC2010  # the other parts' variables; plain file names are listed
# Installs llama-cpp-python with a back end: a prebuilt wheel if there is one, else compiled. Sourced by setup.sh.

wheel_index=${BATON_WHEEL_INDEX-$(shared index)}
wheel_cache=${XDG_CACHE_HOME:-${HOME:-.venv}/.cache}/baton/wheels
package=$(grep -o 'llama-cpp-python==[0-9.]*' packaging/lock/llama.txt)

# Sets `backend` to the one that is installed at the end and `result` to what was done and why, in one line.
install_llama() {
  local wanted=$backend next before
  before=$(sed -n 1p "$remembered" 2>/dev/null || true)
  if [ "${before:-$backend}" = "$backend" ] && right_version && works "$backend"; then
    if [ -n "$before" ]; then result=$(sed -n 2p "$remembered")
    else remember "llama.cpp for $(name_of "$backend"), which was in .venv already"
    fi
    return
  fi
  missed=
  for next in $(backends_to_try); do
    backend=$next
    if prebuilt; then
      remember "llama.cpp for $(name_of "$backend") from a prebuilt wheel$(reason "$wanted")"; return
    elif compiled; then
      remember "llama.cpp for $(name_of "$backend"), compiled here$(reason "$wanted")"; return
    fi
  done
  tail -n 30 "$log" >&2
  fail "llama.cpp could not be installed for $(name_of "$backend"): $missed. The end of $log is above."
}

# A back end that a person chose, or the CPU, has no other to fall back on.
backends_to_try() {
  case $choice-$backend in
    person-*) echo "$backend" ;;
    *-cuda) echo cuda vulkan cpu ;;
    *-vulkan) echo vulkan cpu ;;
    *-metal) echo metal cpu ;;
    *) echo "$backend" ;;
  esac
}

name_of() {
  case $1 in cuda) echo CUDA ;; metal) echo Metal ;; vulkan) echo Vulkan ;; cpu) echo "the CPU" ;; esac
}

remember() {
  result=$1
  printf '%s\n%s\n' "$backend" "$result" >"$remembered"
}

# Why this back end. It must never stay unsaid that a GPU is here and the CPU is used.
reason() {
  if [ "$choice" = person ]; then echo ", as GPU=$1 asked"
  elif [ "$backend" = "$1" ] && [ "$choice" = before ]; then echo ", as before"
  elif [ "$backend" = "$1" ]; then echo "; ${found:-no GPU} was found"
  elif [ "$backend" = cpu ]; then
    echo ", although ${found:-a GPU} is here ($missed). $(remedy "$1"). Then run: GPU=auto packaging/setup.sh run"
  else echo "; ${found:-a GPU} was found, but $missed"
  fi
}

remedy() {
  case $1 in
    metal) install_line compiler ;;
    *) install_line compiler vulkan vulkan-build ;;
  esac
}

miss() { missed="${missed:+$missed; }$*"; }

# Installs the prebuilt wheel that fits. Offline, the first one that cannot be reached is the last that is tried.
prebuilt() {
  local folder
  folder=$(wheel_folder)
  [ -n "$wheel_index" ] && [ -n "$folder" ] || return 1
  [ "$backend" != vulkan ] || vulkan_packages || { miss "Vulkan's loader is not installed"; return 1; }
  say "looking for a prebuilt wheel of llama.cpp for $(name_of "$backend") ($folder)"
  if quietly "downloading the wheel" pip install -v --no-deps --force-reinstall --only-binary :all: --no-cache-dir \
    --timeout 8 --retries 0 --index-url "$wheel_index/$folder" "$package"; then
    [ "$backend" != cuda ] || works cuda || cuda_libraries "$folder"
    if works "$backend"; then return 0; fi
    miss "the prebuilt wheel for $folder does not run here"
  elif tail -n 20 "$log" | grep -qiE 'connection error|timed out|max retries|could not fetch URL'; then
    wheel_index=
    miss "the index of prebuilt wheels cannot be reached"
  else
    miss "there is no prebuilt wheel for $(name_of "$backend")"
  fi
  return 1
}

# The folder of upstream's index that fits: for CUDA the newest that the driver can run.
wheel_folder() {
  local version driver_has
  if [ "$backend" != cuda ]; then echo "$backend"; return; fi
  driver_has=$(cuda_version)
  for version in $(shared cuda); do
    if [ "${driver_has:-124}" -ge $version ]; then echo "cu$version"; return; fi
  done
}

# The CUDA wheels leave out NVIDIA's run-time libraries. They come as packages, and are linked to where ggml looks.
cuda_libraries() {
  local suffix=-cu12 file
  [ "$1" != cu118 ] || suffix=-cu11
  say "installing NVIDIA's CUDA libraries (700 MB)"
  quietly "installing CUDA's libraries" pip install "nvidia-cuda-runtime$suffix" "nvidia-cublas$suffix" || return 1
  for file in .venv/lib/python3*/site-packages/nvidia/*/lib/lib*.so*; do
    [ ! -e "$file" ] || ln -sf "$PWD/$file" "$(library_folder)/"
  done
}

# Compiles the exact version, or takes the wheel that was compiled here before with the same options. pip's own cache is
# not used: it does not know which back end a wheel was compiled for.
compiled() {
  local options cache
  compiler_packages || { miss "there is no C++ compiler"; return 1; }
  case $backend in
    cuda)
      command -v nvcc >/dev/null 2>&1 || { miss "there is no CUDA compiler (nvcc)"; return 1; }
      options=-DGGML_CUDA=on ;;
    vulkan)
      vulkan_build_packages || { miss "Vulkan's headers and compiler are not installed"; return 1; }
      options=-DGGML_VULKAN=on ;;
    metal) options=-DGGML_METAL=on ;;
    cpu) options= ;;
  esac
  options="$options -DLLAVA_BUILD=OFF ${CMAKE_ARGS:-}"
  cache=$wheel_cache/$backend-$(printf '%s' "$package $options $(processor)" | cksum | tr -d ' ')
  if [ -z "$(ls "$cache"/*.whl 2>/dev/null)" ]; then
    say "compiling llama.cpp for $(name_of "$backend") (five minutes on two cores; with Vulkan or CUDA longer)"
    quietly "compiling llama.cpp" env CMAKE_ARGS="$options" \
      CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(getconf _NPROCESSORS_ONLN)}" \
      .venv/bin/python -m pip --disable-pip-version-check --no-input wheel --no-deps --no-cache-dir \
      --no-binary llama-cpp-python --require-hashes --wheel-dir "$cache" -r packaging/lock/llama.txt ||
      { miss "compiling failed"; return 1; }
  fi
  quietly "installing llama.cpp" pip install --no-deps --force-reinstall --no-index "$cache"/*.whl || return 1
  works "$backend" || { miss "the library compiled for $(name_of "$backend") does not load"; rm -rf "$cache"; return 1; }
}

# Compiled code fits the processor that it was compiled on.
processor() { uname -m; grep -m 1 'model name' /proc/cpuinfo 2>/dev/null || true; }

library_folder() { echo .venv/lib/python3*/site-packages/llama_cpp/lib; }

right_version() { ls -d .venv/lib/python3*/site-packages/llama_cpp_python-"${package#*==}".dist-info >/dev/null 2>&1; }

# Is the back end's library there, and does llama.cpp load with it? For the CPU: and is there no other?
works() {
  local folder others
  folder=$(library_folder)
  others=$(ls "$folder" 2>/dev/null | grep -E 'ggml-(cuda|vulkan|metal)' || true)
  case $1 in
    cpu) [ -z "$others" ] || [ "$(uname)" = Darwin ] || return 1 ;;
    *) printf '%s' "$others" | grep -q "ggml-$1" || return 1 ;;
  esac
  .venv/bin/python -c 'import ctypes, glob, sys
for path in glob.glob(sys.argv[1] + "/libllama.*"): ctypes.CDLL(path); break
else: sys.exit(1)' "$folder" >>"$log" 2>&1
}
