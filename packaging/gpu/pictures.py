"""Pictures of the small software GPU for docs/gpu.md, after `packaging/gpu/build.sh test`:

    PYTHONPATH=.:packaging .venv/bin/python packaging/gpu/pictures.py

`baton doctor` as it prints in a terminal (docs/images/gpu-doctor.svg), and the Models page (gpu-models.png). Both are
real but for the device, Mesa's software made small by our layer, and for the kernel and the folders of this machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
MIB = 6144
LIGHT = TerminalTheme(
    (251, 251, 250),
    (34, 34, 34),
    [
        (34, 34, 34),
        (176, 32, 32),
        (22, 120, 60),
        (150, 95, 0),
        (30, 80, 170),
        (130, 50, 140),
        (0, 115, 125),
        (90, 90, 90),
    ],
)
FONT = "ui-monospace, Menlo, Consolas, monospace"
SVG = """<svg class="rich-terminal" viewBox="0 0 {terminal_width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: FONT; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{height}"/></clipPath>
{lines}</defs>
<rect fill="#fbfbfa" x="0" y="0" width="{terminal_width}" height="{height}" rx="8"/>
<g transform="translate(9, 9)" class="{unique_id}-matrix">{backgrounds}{matrix}</g></svg>
""".replace("FONT", FONT)
"""Without the frame of a window, and without a font from another site."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="baton-") as folder:
        use_small_gpu(Path(folder))
        doctor()
        models_page(Path(folder))
    return 0


def use_small_gpu(state: Path) -> None:
    """Processes that are started from now on see it."""
    build = ROOT / ".gpu-build" / "test"
    os.environ |= {
        "GGML_BACKEND_PATH": str(build / "libggml-vulkan.so"),
        "VK_LAYER_PATH": str(build),
        "VK_INSTANCE_LAYERS": "VK_LAYER_BATON_small_gpu",
        "BATON_GPU_STATE": str(state),
        "BATON_GPU_MIB": str(MIB),
        "MESA_SHADER_CACHE_DIR": str(build / "shaders"),
        "LP_NUM_THREADS": "1",
        "GGML_NO_BACKTRACE": "1",
    }


def doctor() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "doctor"],
        cwd=ROOT,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "FORCE_COLOR": "1", "TERM": "xterm-256color"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.replace(str(Path(sys.prefix).parent), "~/baton").replace(str(Path.home()), "~")
    lines = ["$ baton doctor", *said.replace(f"{platform.release()} ", "").splitlines()]
    screen = Console(record=True, width=max(len(Text.from_ansi(line).plain) for line in lines) + 2, file=sys.stderr)
    for line in lines:
        screen.print(Text.from_ansi(line), no_wrap=True)
    path = IMAGES / "gpu-doctor.svg"
    path.write_text(screen.export_svg(code_format=SVG, theme=LIGHT, unique_id="doctor"), encoding="utf-8")
    print(path)


def models_page(folder: Path) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    import screenshots
    from app.shared.loaded_models import LoadState
    from app.shared.pair_loader import PairLoader
    from app.window.models_page import LazyModelsPage
    from core.paths import Paths
    from core.settings import ColourScheme

    QApplication(sys.argv)
    paths = Paths.under(folder)
    window = screenshots.opened(paths, PairLoader(paths), ColourScheme.LIGHT)
    window.show_page("models")
    tab = window.findChild(LazyModelsPage)
    screenshots.until(lambda: tab.page.controller.devices is not None)
    screenshots.until(lambda: window.models.state is LoadState.READY)
    screenshots.save(window, "gpu-models")
    window.close()


if __name__ == "__main__":
    sys.exit(main())
