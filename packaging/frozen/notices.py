"""Writes THIRD-PARTY-NOTICES.txt: every package that the frozen program contains, with its licence's text.

    python packaging/frozen/notices.py LOCK OUTPUT [FOLDER]

LOCK names the Python packages, which with llama-cpp-python are in this environment. FOLDER is the frozen program: for
those of its libraries that come from Debian packages, these packages' copyright files are added.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LINE = "=" * 100
HEAD = """Baton contains the works below, each under its own licence. Baton itself is under the MIT licence (LICENSE).

Qt and PySide6 are used under the GNU Lesser General Public License, version 3. Their libraries lie beside the program
as files of their own (_internal/PySide6, _internal/libQt6*) and may be replaced by other builds of the same version;
their source is at https://download.qt.io and https://code.qt.io. No library is under the GPL without an exception for
programs that link to it.

Fonts: ziafont brings STIX Two Math and DejaVu Sans, under the SIL Open Font License and the Bitstream Vera licence; see
ziafont and ziamath below. Icons and pictures are Baton's own.
"""
LLAMA_CPP = """llama.cpp and ggml, the libraries in llama_cpp/lib: MIT licence, Copyright (c) 2023-2026 The ggml authors
(the licence's text is that of llama-cpp-python above).
"""
LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)


def main() -> int:
    lock, output, *folder = (Path(argument) for argument in sys.argv[1:])
    names = ["llama-cpp-python", *re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)]
    parts = [HEAD]
    for name in sorted(set(names), key=str.lower):
        try:
            parts.append(f"{LINE}\n{of_package(distribution(name))}")
        except PackageNotFoundError:
            continue  # locked for another system or Python
    parts.append(f"{LINE}\n{LLAMA_CPP}")
    if folder:
        parts += [f"{LINE}\n{text}" for text in of_system(folder[0])]
    output.write_text("\n".join(parts), encoding="utf-8")
    print(f"{output}: {len(parts) - 1} works")
    return 0


def of_package(package: Distribution) -> str:
    about = package.metadata
    named = [about[key] for key in ("License-Expression", "License") if key in about]
    licence = next(filter(None, [*named, "; ".join(classifiers(package))]), "see below")
    texts = [
        path.locate() for path in package.files or () if LICENCE_FILE.search(path.name) and "dist-info" in str(path)
    ]
    homes = [about["Home-page"]] if "Home-page" in about else about.get_all("Project-URL") or []
    home = next(iter(homes), "")
    head = f"{about['Name']} {package.version}: {licence.strip().splitlines()[0]}\n{home}\n"
    return head + "\n".join(Path(str(text)).read_text(encoding="utf-8", errors="replace") for text in texts)


def classifiers(package: Distribution) -> list[str]:
    found = package.metadata.get_all("Classifier") or []
    return [line.rsplit(" :: ", 1)[-1] for line in found if line.startswith("License ::")]


def of_system(folder: Path) -> Iterator[str]:
    """The copyright files of the Debian packages that the folder's libraries come from."""
    if not shutil.which("dpkg-query"):
        return
    names = sorted({path.name for path in folder.rglob("*.so*")})
    owners: dict[str, str] = {}
    for name in names:
        found = subprocess.run(["dpkg-query", "--search", f"*/{name}"], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            owners[name] = found.stdout.split(":")[0]
    for package in sorted(set(owners.values())):
        text = Path("/usr/share/doc") / package / "copyright"
        files = ", ".join(name for name, owner in owners.items() if owner == package)
        yield f"{package} ({files})\n{text.read_text(errors='replace') if text.exists() else ''}"


if __name__ == "__main__":
    sys.exit(main())
