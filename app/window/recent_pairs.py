"""The pairs that were used lately, as a menu: to go back to one of them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QMenu, QWidget

from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.options import DemoModel, LocalFile, ModelSource, parse_source
from baton_reasoning.core.settings import DEMO_OF, ModelChoice, Settings
from baton_reasoning.core.words.authors import SIGN


class PairMenu(QMenu):
    """Recent pairs by the names of their files, and the demo pair; the pair in use is left out."""

    def __init__(self, use: Callable[[ModelChoice], object], parent: QWidget) -> None:
        super().__init__(parent)
        self._use = use
        self.setToolTipsVisible(True)

    def show_pairs(self, chosen: Settings) -> None:
        self.clear()
        pairs = [(parse_source(small), parse_source(large)) for small, large in chosen.window.recent_pairs]
        in_use = (chosen.models.small, chosen.models.large)
        for small, large in (*pairs, tuple(DEMO_OF.values())):
            if (small, large) == in_use:
                continue
            choice = chosen.models.model_copy(update={"small": small, "large": large})
            action = self.addAction(pair_name(small, large), lambda choice=choice: self._use(choice))  # type: ignore[misc]
            action.setToolTip(plain_tip(f"{small}\n{large}"))


def pair_name(small: ModelSource, large: ModelSource) -> str:
    """Return “● small.gguf  ◆ large.gguf”."""
    if (small, large) == tuple(DEMO_OF.values()):
        return "Demo pair"
    return f"{SIGN[Author.SMALL]} {source_name(small)}  {SIGN[Author.LARGE]} {source_name(large)}"


def source_name(source: ModelSource) -> str:
    """Return the name of a file, or the address of anything else."""
    return source.path.name if isinstance(source, DemoModel | LocalFile) else str(source)
