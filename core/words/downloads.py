"""Says how far a download is."""

from __future__ import annotations

from baton_reasoning.core.models.download import DownloadProgress, Stage
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.words.numbers import duration


def progress_text(progress: DownloadProgress) -> str:
    """Return what has arrived or is checked, and, while it is known, the speed and the seconds left."""
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
