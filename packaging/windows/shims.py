"""Give Windows' Python the libraries that Wine 10 lacks or has wrong: `shims.py PYTHON-FOLDER WORK-FOLDER`.

Three are built. Wine takes its own library where it has one of that name. So ours have other names of the same length,
and the importing files are changed to them. Another is copied: `WINEDLLOVERRIDES` has Wine take it.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PYTHON, WORK = (Path(argument).resolve() for argument in sys.argv[1:3])
SITE = PYTHON / "Lib/site-packages"
sys.path.append(str(SITE))  # pefile is there, for PyInstaller; it is pure Python

import pefile  # noqa: E402

MATH, OUR_MATH = "api-ms-win-crt-math-l1-1-0.dll", "baton-shim-crt-math-l1-1-0.dll"
COLOURS, OUR_COLOURS = "mscms.dll", "mscmx.dll"
_COMPLEX = re.compile(r"(creal|cimag|carg|cabs|c(?:exp|log|sqrt|sinh|cosh|tanh|sin|cos|tan)|cpow)([fl]?)")
_TYPES = """#include <complex.h>
typedef struct { double re, im; } Double;
typedef struct { float re, im; } Float;
static double _Complex from_Double(Double z) { return z.re + z.im * I; }
static float _Complex from_Float(Float z) { return z.re + z.im * I; }
static Double to_Double(double _Complex c) { return (Double){creal(c), cimag(c)}; }
static Float to_Float(float _Complex c) { return (Float){crealf(c), cimagf(c)}; }
"""


def complex_functions() -> None:
    """Give numpy complex functions, which Wine's ucrtbase only has the names of; the others are forwarded to it."""
    users = [file for file in SITE.glob("numpy/**/*.pyd") if imports(file, MATH, OUR_MATH)]
    source, exports = [_TYPES], []
    for name in sorted(set().union(*(imports(file, MATH, OUR_MATH) for file in users))):
        if found := _COMPLEX.fullmatch(name):
            source.append(complex_function(name, *found.groups()))
            exports.append(f"{name} = shim_{name}")
        else:
            exports.append(f"{name} = ucrtbase.{name}")
    build(PYTHON / OUR_MATH, "\n".join(source), exports)
    redirect(users, MATH, OUR_MATH)


def complex_function(name: str, base: str, suffix: str) -> str:
    """Return the C source of one. Windows passes complex numbers as structures; its long double is a double."""
    kind, real, c = ("Float", "float", f"{base}f") if suffix == "f" else ("Double", "double", base)
    if base == "cpow":
        return f"{kind} shim_{name}({kind} a, {kind} b) {{ return to_{kind}({c}(from_{kind}(a), from_{kind}(b))); }}"
    if base in ("creal", "cimag", "carg", "cabs"):
        return f"{real} shim_{name}({kind} z) {{ return {c}(from_{kind}(z)); }}"
    return f"{kind} shim_{name}({kind} z) {{ return to_{kind}({c}(from_{kind}(z))); }}"


def unicode_converters() -> None:
    """Give Qt the system's ICU, which converts rare encodings only: each function answers that there is none."""
    names = sorted(imports(SITE / "PySide6/Qt6Core.dll", "icuuc.dll"))
    refuse = (
        "void *ucnv_open(const char *name, int *error) { if (error) *error = 16; return 0; }"  # U_UNSUPPORTED_ERROR
    )
    source = [refuse if name == "ucnv_open" else f"void *{name}(void) {{ return 0; }}" for name in names]
    build(SITE / "PySide6/icuuc.dll", "\n".join(source), names)


def colour_profiles() -> None:
    """Give Qt's window plug-in the colour functions: there is no profile."""
    plugin = SITE / "PySide6/plugins/platforms/qwindows.dll"
    names = sorted(imports(plugin, COLOURS, OUR_COLOURS))
    build(PYTHON / OUR_COLOURS, "\n".join(f"void *{name}(void) {{ return 0; }}" for name in names), names)
    redirect([plugin], COLOURS, OUR_COLOURS)


def condition_variables() -> None:
    """Give llama-server Microsoft's C++ library, which Qt's wheel brings: in Wine's a wake-up reaches nobody.

    A std::condition_variable begins with eight unused bytes. Programs sleep behind them, Wine wakes before them.
    """
    shutil.copy(SITE / "PySide6/msvcp140.dll", PYTHON)


def imports(file: Path, *libraries: str) -> set[str]:
    """Return the names that `file` imports from the libraries, at its start or at the first call."""
    program = pefile.PE(str(file), fast_load=True)
    directories = pefile.DIRECTORY_ENTRY
    program.parse_data_directories(
        [directories["IMAGE_DIRECTORY_ENTRY_IMPORT"], directories["IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT"]]
    )
    entries = [
        *getattr(program, "DIRECTORY_ENTRY_IMPORT", ()),
        *getattr(program, "DIRECTORY_ENTRY_DELAY_IMPORT", ()),
    ]
    wanted = [entry for entry in entries if entry.dll.decode().lower() in libraries]
    return {symbol.name.decode() for entry in wanted for symbol in entry.imports}


def build(library: Path, source: str, exports: Iterable[str]) -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    code, names = WORK / f"{library.stem}.c", WORK / f"{library.stem}.def"
    code.write_text(source + "\n", encoding="utf-8")
    names.write_text("\n".join([f"LIBRARY {library.name}", "EXPORTS", *exports, ""]), encoding="utf-8")
    compiler = ["x86_64-w64-mingw32-gcc-posix", "-O1", "-fno-builtin", "-shared", "-static", "-s"]
    subprocess.run([*compiler, "-o", library, code, names], check=True)


def redirect(files: Iterable[Path], old: str, new: str) -> None:
    assert len(old) == len(new)
    for file in files:
        file.write_bytes(file.read_bytes().replace(old.encode(), new.encode()))


complex_functions()
unicode_converters()
colour_profiles()
condition_variables()
