"""Small wheels that stand for llama-cpp-python with one backend each, and a source distribution that makes one.

The binding in them answers Baton's questions about devices by the files that lie beside it: `libggml-vulkan.so` is a
GPU that works. The source distribution carries this module as its build backend.
"""

from __future__ import annotations

import io
import os
import signal
import tarfile
import zipfile
from pathlib import Path

VERSION = "9.9.9"
NAME = f"llama_cpp_python-{VERSION}"
CUDA_LIBRARY = "libcudart.so.12"
WITHOUT_CUDA = f"needs-{CUDA_LIBRARY}"
WITHOUT_GPU = "finds-no-gpu"
BINDING = """
import os
from pathlib import Path

_folder = Path(os.environ.get("LLAMA_CPP_LIB_PATH") or Path(__file__).parent / "lib")
if (_folder / "needs-libcudart.so.12").exists() and not (_folder / "libcudart.so.12").exists():
    raise OSError("libcudart.so.12: cannot open shared object file")
_names = [path.name[len("libggml-"):-len(".so")] for path in sorted(_folder.glob("libggml-*.so"))]
_devices = ["cpu"] if (_folder / "finds-no-gpu").exists() else _names


class _lib:
    def ggml_backend_dev_count():
        return len(_devices)

    def ggml_backend_dev_get(number):
        return number.value + 1

    def ggml_backend_dev_name(handle):
        return _devices[handle.value - 1].encode()

    def ggml_backend_dev_description(handle):
        return b"a device made of text"

    def ggml_backend_dev_type(handle):
        return 0 if _devices[handle.value - 1] == "cpu" else 1

    def ggml_backend_dev_memory(handle, free, total):
        free._obj.value = total._obj.value = 2**30

    def ggml_backend_load(path):
        return None


def llama_log_callback(function):
    return function


def llama_log_set(callback, data):
    pass
"""


def write_wheel(folder: Path, backend: str, *marks: str) -> Path:
    """Write a wheel with the libraries of the CPU and of this backend; `marks`: WITHOUT_CUDA, WITHOUT_GPU."""
    libraries = ["libllama.so", "libggml-cpu.so", *marks]
    libraries += [f"libggml-{backend}.so"] if backend != "cpu" else []
    contents = {f"llama_cpp/lib/{name}": "" for name in libraries}
    return _write(folder, NAME, contents | {"llama_cpp/__init__.py": "", "llama_cpp/llama_cpp.py": BINDING})


def write_nvidia_wheels(index: Path) -> None:
    """Write the two packages of CUDA 12 with the libraries that its wheels leave out."""
    for name, library in (("nvidia-cuda-runtime-cu12", CUDA_LIBRARY), ("nvidia-cublas-cu12", "libcublas.so.12")):
        folder = name.removeprefix("nvidia-").removesuffix("-cu12").replace("-", "_")
        _write(index / name, f"{name.replace('-', '_')}-12.4", {f"nvidia/{folder}/lib/{library}": ""})


def _write(folder: Path, distribution: str, contents: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    name, _, release = distribution.partition("-")
    contents |= {
        f"{distribution}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n",
        f"{distribution}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{distribution}.dist-info/RECORD"
    contents[record] = "".join(f"{path},,\n" for path in [*contents, record])
    wheel = folder / f"{distribution}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def write_source(folder: Path) -> None:
    """Write a source distribution whose wheel has the backend that CMAKE_ARGS asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: llama-cpp-python\nVersion: {VERSION}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "llama_wheels"\nbackend-path = ["."]\n'
        f'[project]\nname = "llama-cpp-python"\nversion = "{VERSION}"\n',
        "llama_wheels.py": Path(__file__).read_text(encoding="utf-8"),
    }
    with tarfile.open(folder / f"{NAME}.tar.gz", "w:gz") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(f"{NAME}/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: object = None) -> str:
    """What pip calls to compile: FAILS in CMAKE_ARGS fails, and BLOCKS=FILE writes the process's number, and waits."""
    options = os.environ["CMAKE_ARGS"].split()
    if "FAILS" in options:
        raise SystemExit("a compiler's error")
    if blocks := [option.removeprefix("BLOCKS=") for option in options if option.startswith("BLOCKS=")]:
        Path(blocks[0]).write_text(str(os.getpid()), encoding="utf-8")
        signal.pause()
    backend = next((name for name in ("cuda", "vulkan") if f"-DGGML_{name.upper()}=on" in options), "cpu")
    return write_wheel(Path(wheel_directory), backend).name
