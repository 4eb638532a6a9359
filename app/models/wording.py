"""Words and signs of the Models page: numbers as people read them, fits with a sign and a word, never colour alone."""

import re
from pathlib import Path

from core.models.catalog import PublishedResult
from core.models.download import DownloadProgress, Stage
from core.models.fit import Fit, FitKind, in_gib

_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?[BM](?:-A\d+B)?)(?![\w.])", re.IGNORECASE)

FIT_SIGNS = {
    FitKind.WHOLE_ON_GPU: "✓ fits on the GPU",
    FitKind.SPLIT: "◐ GPU and RAM",
    FitKind.RAM_ONLY: "✓ fits in RAM",
    FitKind.DOES_NOT_FIT: "✗ does not fit",
}
EVIDENCE = {
    PublishedResult.PAPER: "measured in the paper",
    PublishedResult.REBUTTAL: "measured in the paper's discussion",
    PublishedResult.UNTESTED: "nobody has published figures",
}


def fit_words(fit: Fit) -> str:
    return FIT_SIGNS[fit.kind]


def duration(seconds: float) -> str:
    """“2 h 5 min”, “3 min”, “40 s”."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"


def progress_words(progress: DownloadProgress) -> str:
    amount = f"{in_gib(progress.done)} of {in_gib(progress.total)}"
    match progress.stage:
        case Stage.CHECKING:
            return f"Checking what arrived: {amount}"
        case Stage.WAITING:
            return f"{amount} · {progress.note}"
        case Stage.DOWNLOADING:
            left = progress.seconds_left
            speed = f" · {progress.speed / 1e6:.1f} MB/s" if progress.speed else ""
            return f"{amount}{speed}" + (f" · {duration(left)} left" if left is not None else "")


def size_in(name: str) -> str:
    """“14B” of “owner/Qwen3-14B-GGUF”; the Hub's search does not tell sizes, but names nearly always do."""
    found = _SIZE.search(name)
    return found[1].upper() if found else ""


def short_path(path: Path) -> str:
    """With ~ for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
