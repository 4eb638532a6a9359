"""A machine made of files: set-up's real scripts and a real bash, with pip, uname, nvidia-smi and the like scripted.

What a machine has is a set of files in its folder `has`; what was done is in `log`. Nothing real is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = (
    "packaging/setup.sh",
    "packaging/setup",
    "packaging/lock",
    "packaging/test-models.txt",
    "resources/set_up.txt",
)
TOOLS = (
    "basename bash cat chmod cksum cut dirname env getconf grep head ln ls mkdir printf readlink rm sed sleep tail "
    "touch tr"
).split()
QT = (
    "libEGL.so.1 libGL.so.1 libxkbcommon.so.0 libdbus-1.so.3 libfontconfig.so.1 libglib-2.0.so.0 libxcb-cursor.so.0 "
    "libxcb-icccm.so.4 libxcb-keysyms.so.1 libxcb-shape.so.0 libxkbcommon-x11.so.0"
)

PYTHON = r"""#!/usr/bin/env bash
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

COMMANDS = {
    "python3": PYTHON,
    "uname": '#!/usr/bin/env bash\nif [ "${1:-}" = -m ]; then echo x86_64; else cat "$MACHINE/system"; fi\n',
    "ldconfig": '#!/usr/bin/env bash\ncat "$MACHINE/libraries"\n',
    "id": '#!/usr/bin/env bash\nif [ -e "$MACHINE/has/root" ]; then echo 0; else echo 1000; fi\n',
    "cp": '#!/usr/bin/env bash\nwhile read -r l; do printf "%s\\n" "$l"; done <"$1" >"$2"; chmod +x "$2"\n',
}
APT_GET = r"""#!/usr/bin/env bash
[ "$2" = update ] && exit 0
echo "apt ${*: 1}" | sed 's/.*--no-install-recommends/apt/' >>"$MACHINE/log"
for name; do case $name in
  g++) ln -sf /bin/true "$MACHINE/bin/c++" ;;
  libvulkan1) echo libvulkan.so.1 >>"$MACHINE/libraries" ;;
esac; done
"""
SUDO = '#!/usr/bin/env bash\nshift\n[ "$1" = true ] && exit 0\necho sudo >>"$MACHINE/log"\nexec "$@"\n'
NVIDIA_SMI = '#!/usr/bin/env bash\necho "GPU 0: RTX"; echo "| Driver Version: 570.1   CUDA Version: %s |"\n'


@dataclass(frozen=True)
class Outcome:
    """One run of set-up."""

    code: int
    output: str
    did: tuple[str, ...]

    @property
    def last_line(self) -> str:
        return self.output.strip().splitlines()[-1]


class Machine:
    """A machine with Python, a compiler and Qt's libraries, and no GPU; each method gives it something or takes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        (folder / "has").mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "drm").mkdir()
        self._copy_scripts()
        for tool in TOOLS:
            real = shutil.which(tool)
            assert real, tool
            (folder / "bin" / tool).symlink_to(real)
        for name, text in COMMANDS.items():
            self.command(name, text)
        (folder / "system").write_text("Linux\n")
        (folder / "libraries").write_text("\n".join(QT.split()) + "\n")
        self.command("c++")
        self.has("venv")

    def _copy_scripts(self) -> None:
        for name in SCRIPTS:
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.tree / name)
            else:
                shutil.copy2(ROOT / name, self.tree / name)
        for name in ("pyproject.toml", "setup.py"):
            shutil.copy2(ROOT / name, self.tree / name)

    def has(self, *things: str) -> None:
        for thing in things:
            (self.folder / "has" / thing).touch()

    def lacks(self, *commands: str) -> None:
        for command in commands:
            (self.folder / "bin" / command).unlink()

    def command(self, name: str, text: str = "#!/usr/bin/env bash\nexit 0\n") -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def nvidia_driver(self, cuda: str = "12.8") -> None:
        self.command("nvidia-smi", NVIDIA_SMI % cuda)

    def card(self, driver: str) -> None:
        """A card as the kernel shows it, below /sys/class/drm."""
        device = self.folder / "drm" / "renderD128" / "device"
        device.mkdir(parents=True)
        (self.folder / "drivers" / driver).mkdir(parents=True)
        (device / "driver").symlink_to(self.folder / "drivers" / driver)

    def vulkan_to_build(self) -> None:
        """Loader, headers and shader compiler of Vulkan."""
        self.library("libvulkan.so.1")
        self.command("glslc")
        for header in ("vulkan/vulkan.h", "spirv/unified1/spirv.hpp"):
            (self.folder / "include" / header).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "include" / header).touch()

    def library(self, name: str) -> None:
        with (self.folder / "libraries").open("a") as file:
            file.write(f"{name}\n")

    def apt(self) -> None:
        self.command("apt-get", APT_GET)
        self.command("apt-cache")

    def sudo(self) -> None:
        self.command("sudo", SUDO)

    def system(self, name: str) -> None:
        (self.folder / "system").write_text(f"{name}\n")

    def set_up(self, purpose: str = "run", **environment: str) -> Outcome:
        (self.folder / "log").write_text("")
        done = subprocess.run(
            [self.folder / "bin" / "bash", "packaging/setup.sh", purpose],
            cwd=self.tree,
            env=self._environment() | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Outcome(done.returncode, done.stdout, tuple((self.folder / "log").read_text().splitlines()))

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": str(self.folder / "bin"),
            "MACHINE": str(self.folder),
            "HOME": str(self.folder / "home"),
            "SYS_DRM": str(self.folder / "drm"),
            "INCLUDE": str(self.folder / "include"),
            "LLAMA": (self.tree / "packaging/lock/llama.txt").read_text().split()[0].split("==")[1],
            "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
        }
