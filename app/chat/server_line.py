"""One line above the composer while a server is not reachable: what is wrong, and a button to retry."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.toolkit.controls import ElidedLabel, button
from baton_reasoning.app.toolkit.layout import hbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import STATES


class ServerLine(QWidget):
    """Reports servers that cannot be reached; updated in place, and hidden while every server answers.

    Whoever asks the servers connects `retry`, and calls `asked` when it is over.
    """

    def __init__(self, models: LoadedModels) -> None:
        super().__init__()
        self._models = models
        self.text = ElidedLabel("", Role.DANGER)
        self.retry = button(
            "Retry now", lambda: self.retry.setEnabled(False), tip="Ask the server whether it is there again"
        )
        self.setLayout(hbox((self.text, 1), self.retry, margins=(26, 5, 20, 5)))
        models.changed.connect(self._follow)
        models.servers_changed.connect(self._follow)
        self._follow()

    def asked(self) -> None:
        """Allow another retry, now that the servers have been asked."""
        self.retry.setEnabled(True)

    def _follow(self) -> None:
        lines: dict[str, str] = {}
        is_given_up = False
        for author in (Author.SMALL, Author.LARGE):
            engine, status = self._models.pair.get(author), self._models.server_status(author)
            if engine and status and STATES[status.state].is_problem:
                problem = server_problem(engine.card.location, status)
                lines[problem] = lines.get(problem, "") + SIGN[author]
                is_given_up = is_given_up or status.state is not ServerState.RECONNECTING
        self.text.setText("   ".join(f"{signs} {line}" for line, signs in lines.items()))
        self.retry.setVisible(is_given_up)
        self.setVisible(bool(lines))


def server_problem(location: str, status: ServerStatus) -> str:
    """Return the problem in a line: “office-server: ↻ reconnecting. Connection refused.”"""
    sign, name, _ = STATES[status.state]
    if location in status.reason:
        return f"{sign} {status.reason}"  # it says all of that
    return f"{location}: {sign} {name}. {status.reason}".strip()
