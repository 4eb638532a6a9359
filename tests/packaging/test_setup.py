"""Every decision of packaging/setup.sh, taken by the real script and a real bash on machines made of files.

pip, uname, nvidia-smi and the like are scripted: what a machine has is a set of files in its folder `has`, what was
done is in `log`. Nothing real is installed.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.systems import posix_only

pytestmark = [pytest.mark.slow, posix_only("the shell and its tools")]

ROOT = Path(__file__).parents[2]
COPIED = "packaging/setup.sh packaging/setup packaging/lock packaging/test-models.txt resources/set_up.txt".split()
TOOLS = (
    "basename bash cat chmod cksum cut dirname env getconf grep head ln ls mkdir printf readlink rm sed sleep tail "
    "touch tr"
).split()
QT = (
    "libEGL.so.1 libGL.so.1 libxkbcommon.so.0 libdbus-1.so.3 libfontconfig.so.1 libglib-2.0.so.0 libxcb-cursor.so.0 "
    "libxcb-icccm.so.4 libxcb-keysyms.so.1 libxcb-shape.so.0 libxkbcommon-x11.so.0"
).split()
BASH = "#!/usr/bin/env bash\n"
PYTHON = r"""
# A Python that makes environments and pip that installs: as files, and a line in the log for each.
has() { [ -e "$MACHINE/has/$1" ]; }
installed() { # a back end, in .venv
  lib=.venv/lib/python3.11/site-packages/llama_cpp/lib
  rm -rf "$lib"; mkdir -p "$lib" .venv/lib/python3.11/site-packages/llama_cpp_python-$LLAMA.dist-info
  touch "$lib/libllama.so" "$lib/libggml-cpu.so"
  [ "$1" = cpu ] || touch "$lib/libggml-$1.so"
}
case "$1 $2" in
  "-c "*) [[ $2 != *ctypes* ]] || ! has broken-library || exit 1; exit 0 ;;
  "--version "*) echo "Python 3.11.7"; exit 0 ;;
  "-m venv") has venv || exit 1; mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit 0 ;;
esac
line=" $* "
case "$line" in
  *" --index-url "*)
    index=${line#* --index-url }; index=${index%% *}; folder=${index##*/}
    echo "fetch $folder" >>"$MACHINE/log"
    has offline && { echo "Could not fetch URL $index: connection error: Max retries exceeded"; exit 1; }
    has "wheel-$folder" || { echo "(from versions: none)"; exit 1; }
    case $folder in cu*) installed cuda ;; *) installed "$folder" ;; esac ;;
  *" wheel "*)
    made=cpu
    case $CMAKE_ARGS in *CUDA=on*) made=cuda ;; *VULKAN=on*) made=vulkan ;; *METAL=on*) made=metal ;; esac
    echo "compile $made" >>"$MACHINE/log"
    for option in --no-cache-dir "--no-binary llama-cpp-python" --require-hashes; do
      [[ $line == *" $option "* ]] || exit 2
    done
    folder=${line#* --wheel-dir }; folder=${folder%% *}
    mkdir -p "$folder"; echo $made >"$folder/llama.whl" ;;
  *" --no-index "*) wheel=${line% }; installed "$(cat "${wheel##* }")" ;;
  *" nvidia-"*) echo "packages ${line##*install}" >>"$MACHINE/log" ;;
  *" -r "*) file=${line#* -r }; echo "install ${file%% *}" >>"$MACHINE/log" ;;
  *" -e "*) echo "install baton" >>"$MACHINE/log" ;;
esac
"""
APT_GET = r"""
[ "$2" = update ] && exit 0
echo "apt ${*: 1}" | sed 's/.*--no-install-recommends/apt/' >>"$MACHINE/log"
for name; do case $name in
  g++) ln -sf /bin/true "$MACHINE/bin/c++" ;;
  libvulkan1) echo libvulkan.so.1 >>"$MACHINE/libraries" ;;
esac; done
"""
COMMANDS = {
    "python3": PYTHON,
    "c++": "",
    "uname": 'if [ "${1:-}" = -m ]; then echo x86_64; else cat "$MACHINE/system"; fi\n',
    "ldconfig": 'cat "$MACHINE/libraries"\n',
    "id": 'if [ -e "$MACHINE/has/root" ]; then echo 0; else echo 1000; fi\n',
    "cp": 'while read -r l; do printf "%s\\n" "$l"; done <"$1" >"$2"; chmod +x "$2"\n',
}
OTHER_COMMANDS = {
    **dict.fromkeys(("apt-cache", "nvcc", "glslc", "dnf", "pacman"), ""),
    "apt-get": APT_GET,
    "sudo": 'shift\n[ "$1" = true ] && exit 0\necho sudo >>"$MACHINE/log"\nexec "$@"\n',
    "nvidia-smi": 'echo "GPU 0: RTX"; echo "| Driver Version: 570.1   CUDA Version: $(cat "$MACHINE/cuda") |"\n',
}
INSTALLED = ("install packaging/lock/run.txt", "install baton")


class Outcome(NamedTuple):
    """One run of set-up: its exit code, what it said, and what it did."""

    code: int
    output: str
    did: tuple[str, ...]

    @property
    def last_line(self) -> str:
        return self.output.strip().splitlines()[-1]


class Machine:
    """A machine with Python, a compiler and Qt's libraries, and no GPU."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        for name in ("has", "bin", "drm", "tree/packaging", "tree/resources"):
            (folder / name).mkdir(parents=True)
        for name in (*COPIED, "pyproject.toml", "setup.py"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, self.tree / name)
        for tool in TOOLS:
            real = shutil.which(tool)
            assert real, tool
            (folder / "bin" / tool).symlink_to(real)
        for name, text in COMMANDS.items():
            self._command(name, text)
        self._write("system", "Linux")
        self._write("libraries", "\n".join(QT))
        self.has("venv")

    def has(self, things: str) -> None:
        """Commands, drivers, libraries; `vulkan` is all that compiling for it takes. Others are files in `has`."""
        for thing in things.split():
            kind, _, what = thing.partition(":")
            if kind == "driver":  # of a card, as the kernel shows it below /sys/class/drm
                device = self.folder / "drm" / "renderD128" / "device"
                device.mkdir(parents=True)
                (self.folder / "drivers" / what).mkdir(parents=True)
                (device / "driver").symlink_to(self.folder / "drivers" / what)
            elif kind == "cuda":
                self._write("cuda", what)
                self.has("nvidia-smi")
            elif kind == "vulkan":
                self.has("libvulkan.so.1 glslc")
                for header in ("vulkan/vulkan.h", "spirv/unified1/spirv.hpp"):
                    self._write(f"include/{header}", "")
            elif kind == "Darwin":
                self._write("system", kind)
            elif kind.startswith("lib"):
                with (self.folder / "libraries").open("a") as file:
                    file.write(f"{kind}\n")
            elif kind in OTHER_COMMANDS:
                self._command(kind, OTHER_COMMANDS[kind])
            else:
                self._write(f"has/{kind}", "")

    def lacks_compiler(self) -> None:
        (self.folder / "bin" / "c++").unlink()

    def _command(self, name: str, text: str) -> None:
        self._write(f"bin/{name}", f"{BASH}{text}")
        (self.folder / "bin" / name).chmod(0o755)

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(f"{text}\n")

    def set_up(self, purpose: str = "run", **environment: str) -> Outcome:
        (self.folder / "log").write_text("")
        own = {
            "PATH": str(self.folder / "bin"),
            "MACHINE": str(self.folder),
            "HOME": str(self.folder / "home"),
            "SYS_DRM": str(self.folder / "drm"),
            "INCLUDE": str(self.folder / "include"),
            "LLAMA": (self.tree / "packaging/lock/llama.txt").read_text().split()[0].split("==")[1],
            "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
        }
        done = subprocess.run(
            [self.folder / "bin" / "bash", "packaging/setup.sh", purpose],
            cwd=self.tree,
            env=own | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Outcome(done.returncode, done.stdout, tuple((self.folder / "log").read_text().splitlines()))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("has", "did", "said"),
    [
        ("wheel-cpu", "fetch cpu", "ready: llama.cpp for the CPU from a prebuilt wheel; no GPU was found"),
        ("offline", "fetch cpu, compile cpu", "ready: llama.cpp for the CPU, compiled here; no GPU was found"),
        ("driver:virtio-pci wheel-cpu", "fetch cpu", "no GPU was found"),
        ("cuda:12.4 wheel-cu124 wheel-cu125", "fetch cu124", "for CUDA from a prebuilt wheel; an NVIDIA GPU was found"),
        ("cuda:12.8 wheel-cu125", "fetch cu125", "for CUDA"),
        ("cuda:12.8 nvcc", "fetch cu125, compile cuda", "for CUDA, compiled here"),
        (
            "cuda:12.8 libvulkan.so.1 wheel-vulkan",
            "fetch cu125, fetch vulkan",
            r"for Vulkan from a prebuilt wheel; an NVIDIA GPU was found, but .*there is no CUDA compiler \(nvcc\)",
        ),
        (
            "cuda:12.8 offline dnf",
            "fetch cu125, compile cpu",
            r"for the CPU, compiled here, although an NVIDIA GPU is here \(the index of .* cannot be reached"
            r".*sudo dnf install gcc-c\+\+ vulkan-loader.* Then run: GPU=auto packaging/setup.sh run",
        ),
        ("driver:amdgpu vulkan", "fetch vulkan, compile vulkan", "for Vulkan, compiled here; a GPU of .* amdgpu"),
        ("driver:i915 vulkan wheel-vulkan", "fetch vulkan", "for Vulkan from a prebuilt wheel; a GPU of .* i915"),
        ("Darwin wheel-metal", "fetch metal", "for Metal"),
    ],
)
def test_the_back_end_is_the_best_that_the_machine_can_use(machine, has, did, said):
    machine.has(has)
    outcome = machine.set_up()
    assert outcome.code == 0
    assert [line for line in outcome.did if not line.startswith("packages")] == [*did.split(", "), *INSTALLED]
    assert re.search(said, outcome.last_line)


def test_a_wheel_that_lacks_the_back_end_or_does_not_load_is_not_taken(machine):
    machine.has("driver:amdgpu vulkan wheel-vulkan broken-library")
    outcome = machine.set_up()
    assert outcome.code == 1
    assert "the prebuilt wheel for vulkan does not run here" in outcome.output
    assert "the library compiled for Vulkan does not load" in outcome.output


# What a person asks for ----------------------------------------------------------------------------------------------


def test_a_back_end_that_was_asked_for_is_kept_by_later_runs_and_its_wheel_is_used_again(machine):
    machine.has("vulkan")
    assert "compile vulkan" in machine.set_up(GPU="vulkan").did
    assert machine.set_up().did == ()
    later = machine.set_up("test")
    assert not [line for line in later.did if line.startswith(("fetch", "compile"))]
    assert "for Vulkan, compiled here, as GPU=vulkan asked" in later.last_line
    assert "compile cpu" in machine.set_up(GPU="cpu").did
    again = machine.set_up(GPU="vulkan")
    assert again.code == 0
    assert not [line for line in again.did if line.startswith("compile")]
    assert list(machine.tree.glob(".venv/**/libggml-vulkan.so"))


@pytest.mark.parametrize(
    ("environment", "code", "did", "said"),
    [
        ({"GPU": "cuda"}, 1, ("fetch cu124",), r"could not be installed for CUDA.* there is no CUDA compiler \(nvcc\)"),
        ({"GPU": "opencl"}, 1, (), "Choose auto, cuda, metal, vulkan or cpu"),
        ({"BATON_WHEEL_INDEX": ""}, 0, ("compile cpu", *INSTALLED), "for the CPU, compiled here"),
    ],
)
def test_no_other_back_end_is_taken_than_asked_and_no_wheel_without_an_index(machine, environment, code, did, said):
    machine.has("wheel-cpu")
    outcome = machine.set_up(**environment)
    assert (outcome.code, outcome.did) == (code, did)
    assert re.search(said, outcome.last_line)


# What the system lacks -----------------------------------------------------------------------------------------------


def test_packages_are_named_and_with_sudo_or_as_root_they_are_installed(machine):
    machine.has("apt-get apt-cache")
    (machine.folder / "has" / "venv").unlink()
    assert "sudo apt install python3-venv" in machine.set_up().last_line
    machine.has("venv")
    machine.lacks_compiler()
    outcome = machine.set_up()
    assert outcome.code == 1
    assert "Please run: sudo apt install g++" in outcome.output
    machine.has("sudo")
    assert machine.set_up().did[1:4] == ("sudo", "sudo", "apt g++")  # update, then install
    machine.lacks_compiler()
    machine.has("root")
    outcome = machine.set_up(GPU="vulkan")
    packages = {line for line in outcome.did if line.startswith("apt ")}
    assert packages >= {"apt g++", "apt libvulkan1 mesa-vulkan-drivers", "apt libvulkan-dev glslc spirv-headers"}
    assert "sudo" not in outcome.did


def test_without_qt_s_libraries_the_terminal_is_set_up_all_the_same(machine):
    (machine.folder / "libraries").write_text("libGL.so.1\n")
    machine.lacks_compiler()
    machine.has("pacman wheel-cpu")
    outcome = machine.set_up()
    assert outcome.code == 0
    assert "sudo pacman -S --needed libglvnd" in outcome.output
    assert "the terminal commands work" in outcome.output


def test_nothing_is_done_twice_and_what_is_changed_found_later_or_installed_by_hand_is_seen(machine):
    machine.has("wheel-cpu")
    assert machine.set_up("test").did
    assert machine.set_up("test").did == ()
    assert machine.set_up().did == ()
    with (machine.tree / "packaging/lock/run.txt").open("a") as file:
        file.write("another==1.0\n")
    assert machine.set_up().did == INSTALLED
    (machine.tree / ".venv" / ".backend").unlink()
    again = machine.set_up("test")
    assert "fetch cpu" not in again.did
    assert "which was in .venv already" in again.last_line
    machine.has("driver:amdgpu vulkan")
    assert "compile vulkan" not in machine.set_up().did
    assert "compile vulkan" in machine.set_up(GPU="auto").did


def test_the_scripts_use_no_word_that_bash_3_2_lacks():
    """macOS has bash 3.2, where an empty array, too, is an unset variable."""
    words = ("mapfile", "readarray", "declare -A", "wait -n", "[@]}", ",,}", "^^}", "|&", "&>>")
    scripts = [ROOT / "packaging" / "setup.sh", *(ROOT / "packaging" / "setup").glob("*.sh")]
    found = [(script.name, word) for script in scripts for word in words if word in script.read_text()]
    assert found == []
