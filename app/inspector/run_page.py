"""The run as a whole: totals, both models, all parameters, and the command line that repeats it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic.fields import FieldInfo
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from baton_reasoning.app.inspector.command_line import command_line, models_of
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import Hairline, button, label
from baton_reasoning.app.toolkit.facts import Facts
from baton_reasoning.app.toolkit.layout import Spacer, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import (
    Fact,
    bill_facts,
    cue_text,
    draft_text,
    ending,
    own_facts,
    placement_facts,
)
from baton_reasoning.core.words.numbers import duration, parameter_count


class RunPage(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._totals = Facts(MEANINGS)
        self._small, self._large, self._parameters = (Facts() for _ in range(3))
        self.bills = {author: BillView(author) for author in (Author.SMALL, Author.LARGE)}
        self._command = QPlainTextEdit()
        self._command.setReadOnly(True)
        self._command.setAccessibleName("Command line that repeats the run")
        self._command.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._command.setFixedHeight(110)
        copy = button("Copy command", lambda: QGuiApplication.clipboard().setText(self._command.toPlainText()))
        self.setLayout(
            vbox(
                *_section("Totals", self._totals),
                *self.bills.values(),
                *_section(f"{SIGN[Author.SMALL]} Small model", self._small),
                *_section(f"{SIGN[Author.LARGE]} Large model", self._large),
                *_section("Parameters", self._parameters),
                label("Repeat this run", Role.HEADING),
                self._command,
                copy,
                Spacer(0),
                margins=(0, 8, 8, 8),
                spacing=8,
            )
        )

    def follow(self, exchange: Exchange, models: ModelChoice, live: bool = False) -> None:
        """Show the run so far; `live`: its answer is being written now."""
        trace = exchange.trace
        self._totals.show_facts(totals(trace, live))
        if trace.started is None:
            return
        self._small.show_facts(card_facts(trace.started.small))
        self._large.show_facts(card_facts(trace.started.large))
        for view in self.bills.values():
            view.follow(trace)
        self._parameters.show_facts(parameters(trace.started.policy, trace.started.settings))
        command = command_line(exchange.problem, exchange.settings, models_of(trace.started, models))
        if command != self._command.toPlainText():
            self._command.setPlainText(command)


def _section(title: str, facts: Facts) -> tuple[QWidget, ...]:
    return label(title, Role.HEADING), facts, Hairline()


class BillView(QWidget):
    """What the server of one model did in this run; hidden for a model on this machine."""

    def __init__(self, author: Author) -> None:
        super().__init__()
        self._author = author
        self._head = label("", Role.HEADING)
        self._facts = Facts()
        self.setLayout(vbox(self._head, self._facts, Hairline(), margins=0, spacing=8))
        self.hide()

    def follow(self, trace: Trace) -> None:
        author = self._author
        bill, started = trace.usage.get(author), trace.started
        card = started and (started.small if author is Author.SMALL else started.large)
        self.setVisible(bill is not None)
        if bill and card:
            self._head.setText(f"{SIGN[author]} Bill of {card.location}")
            readings = [reading for reading in trace.prefetches if reading.author is author]
            along = f"{sum(reading.tokens for reading in readings):,} tokens in {len(readings):,} requests"
            self._facts.show_facts([*bill_facts(bill), ("Read along", along if readings else "")])


def totals(trace: Trace, live: bool) -> list[Fact]:
    small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
    return [
        ("Steps", f"{len(trace.steps):,}"),
        ("Tokens", f"{trace.tokens:,} (● {small.kept:,}, ◆ {large.kept:,})"),
        ("Large share", f"{trace.large_share:.1%}"),
        ("Discarded", f"{small.discarded + large.discarded:,} tokens"),
        ("Takeovers", f"{trace.takeovers:,}"),
        ("Handoffs", f"{trace.handoffs:,}, {duration(small.handoff_seconds + large.handoff_seconds)} in all"),
        ("Tokens read", f"● {small.prefilled:,}  ◆ {large.prefilled:,}"),
        ("Tokens cached", f"● {small.reused:,}  ◆ {large.reused:,}"),
        ("Drafted", draft_text(large.drafts, large.accepted_drafts)),
        ("Decoding", "  ".join(decoding_speeds(trace))),
        ("Time", duration(trace.seconds)),
        ("Ended", ending(trace, live and trace.ended is None) or (trace.finish.value if trace.finish else "")),
        ("Notices", "\n".join(dict.fromkeys(notice.text for notice in trace.notices))),
    ]


MEANINGS = {
    "Large share": "Tokens that the large model wrote, of all tokens that were kept",
    "Discarded": "Tokens that were written and then replaced",
    "Takeovers": "How often one model wrote in place of the other",
    "Handoffs": "How often a model had to read what the other had written, and how long that took",
    "Tokens read": "By each model, at handoffs and in the prompt",
    "Tokens cached": "Tokens that a model had read before, and did not read again",
    "Drafted": "Tokens that the small model proposed, and that the large one accepted",
    "Decoding": "Speed of writing, without reading and waiting",
}
"""Tool tips of the facts."""


def decoding_speeds(trace: Trace) -> Iterator[str]:
    """Yield “● 41 tok/s” for each model that wrote more than one token."""
    for author in (Author.SMALL, Author.LARGE):
        if speed := trace.totals[author].tokens_per_second:
            yield f"{SIGN[author]} {speed:,.0f} tok/s"


def card_facts(card: ModelCard | None) -> list[Fact]:
    if card is None:
        return [("Name", "none")]
    return [
        ("Name", card.name),
        ("Model", " · ".join(filter(None, (card.architecture, card.quantisation, parameter_count(card.parameters))))),
        ("Runs on", card.location),
        ("Context", f"{card.context:,} tokens"),
        ("Thinking", f"{card.thinking.opening} … {card.thinking.closing}" if card.thinking else "no tags"),
        *([("Drafting", card.drafting)] if card.drafting else []),
        *own_facts(card.overrides),
        *placement_facts(card),
    ]


def parameters(policy: str, settings: dict[str, object]) -> list[Fact]:
    """Return all settings of the run by their titles, with those of its policy and of the limits."""
    kind = POLICIES.get(policy)
    facts: list[Fact] = [("Policy", kind.title if kind else policy)]
    for name, value in settings.items():
        if isinstance(value, dict):
            fields = Limits.model_fields if name == "limits" else kind.Settings.model_fields if kind else {}
            facts += [(_title(inner, fields), _worth(worth)) for inner, worth in value.items() if inner != "policy"]
        elif name == "cue_list":
            facts.append(("Cues", cue_text(str(value)) if value else "of the policy"))
        elif name != "policy":
            facts.append((_title(name, RunSettings.model_fields), _worth(value)))
    return facts


def _title(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return the title that the settings form shows; the identifier if this version does not know the field."""
    return (name in fields and fields[name].title) or name


def _worth(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
