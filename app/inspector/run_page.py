"""The run as a whole: when each model wrote, totals, both models, all settings, and the command that repeats it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from pydantic.fields import FieldInfo
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from baton_reasoning.app.toolkit.controls import Hairline, button, label
from baton_reasoning.app.toolkit.copying import copy_text
from baton_reasoning.app.toolkit.layout import Spacer, in_row, vbox
from baton_reasoning.app.toolkit.ribbon import Ribbon
from baton_reasoning.app.toolkit.tables import Facts
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.run_command import command_line, models_of, why_not_repeatable
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN, own_names
from baton_reasoning.core.words.labels import (
    Fact,
    bill_text,
    cue_text,
    draft_text,
    ending,
    own_facts,
    piece_text,
    placement_facts,
)
from baton_reasoning.core.words.numbers import duration, parameter_count


class RunPage(QWidget):
    def __init__(self, choose: Callable[[Piece], object]) -> None:
        """`choose`: shows a piece that was chosen in the timeline."""
        super().__init__()
        self._trace = Trace()
        self.timeline = Ribbon("When each model wrote", self._text_of)
        self.timeline.chosen.connect(lambda index: choose(self._trace.pieces[index]))
        self._totals, self._small, self._large, self._settings = Facts(), Facts(), Facts(), Facts()
        self.command = QPlainTextEdit()
        self.command.setReadOnly(True)
        self.command.setAccessibleName("Command line that repeats the run")
        self.command.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.command.setFixedHeight(110)
        self._copy = button("Copy command", lambda: copy_text(self.command.toPlainText(), self._copy))
        self._copy_facts = button("Copy all", self._copy_all, tip="Copy times, models and settings, as a table")
        self.no_command = label("", Role.MUTED, wrap=True, selectable=True)
        sections = (
            ("Writing time", self.timeline, self._totals),
            (f"{SIGN[Author.SMALL]} Small model", self._small),
            (f"{SIGN[Author.LARGE]} Large model", self._large),
            ("Settings", self._settings),
            ("Repeat this run", self.command, in_row(self._copy), self.no_command),
        )
        self._facts = {title: part for title, *inside in sections for part in inside if isinstance(part, Facts)}
        parts = [part for title, *inside in sections for part in (label(title, Role.HEADING), *inside, Hairline())]
        self.setLayout(vbox(in_row(self._copy_facts), *parts[:-1], Spacer(0), margins=(0, 8, 8, 8), spacing=8))

    def follow(self, exchange: Exchange, models: ModelChoice, live: bool = False) -> None:
        """Show the run so far; `live`: its answer is being written now."""
        trace = exchange.trace
        if trace is not self._trace:
            self._trace = trace
            self.timeline.select(-1)
        self.timeline.set_segments([(piece.author, round(1000 * piece.seconds)) for piece in trace.pieces])
        self._totals.show_facts(totals(trace, live))
        if trace.started is None:
            return
        for author, facts in ((Author.SMALL, self._small), (Author.LARGE, self._large)):
            bill = bill_text(trace.usage[author]) if author in trace.usage else ""
            facts.show_facts([*model_facts(trace, author), ("Usage", bill)])
        runs = trace.runs or [trace.started]
        self._settings.show_facts(settings_facts(runs))
        self._show_command(exchange, models_of(runs[0], models))

    def _copy_all(self) -> None:
        """Copy all facts below the titles of their sections."""
        text = "\n\n".join(f"{title}\n{facts.text()}" for title, facts in self._facts.items())
        copy_text(text, self._copy_facts)

    def _show_command(self, exchange: Exchange, models: ModelChoice) -> None:
        """Show the command that repeats the run, or why there is none."""
        why_not = why_not_repeatable(exchange.trace)
        command = command_line(exchange.problem, exchange.settings, models)
        if command != self.command.toPlainText():
            self.command.setPlainText(command)
        self.no_command.setText(why_not)
        self.no_command.setVisible(bool(why_not))
        for part in (self.command, self._copy):
            part.setVisible(not why_not)

    def _text_of(self, index: int) -> str:
        piece, name = self._trace.pieces[index], own_names(self._trace)
        return piece_text(piece, f"from {duration(piece.start)} on, for {duration(piece.seconds)}", name(piece))


def totals(trace: Trace, live: bool) -> list[Fact]:
    small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
    reading_along = sum(reading.seconds for reading in trace.prefetches)
    return [
        ("Time", duration(trace.seconds)),
        ("● writing", writing_text(trace, Author.SMALL)),
        ("● reading", duration(small.handoff_seconds) if small.handoff_seconds else ""),
        ("◆ writing", writing_text(trace, Author.LARGE)),
        ("◆ reading", duration(large.handoff_seconds) if large.handoff_seconds else ""),
        ("◆ reading along", duration(reading_along) if reading_along else ""),
        ("Steps", f"{len(trace.steps):,}"),
        ("Tokens", f"{trace.tokens:,} (● {small.kept:,}, ◆ {large.kept:,})"),
        ("Large share", f"{trace.large_share:.1%}"),
        ("Discarded", f"{small.discarded + large.discarded:,} tokens"),
        ("Context", context_text(trace)),
        ("Takeovers", f"{trace.takeovers:,}"),
        ("Handoffs", f"{trace.handoffs:,}"),
        ("Tokens read", f"● {small.prefilled:,}  ◆ {large.prefilled:,}"),
        ("Tokens cached", f"● {small.reused:,}  ◆ {large.reused:,}"),
        ("Drafted", draft_text(large.drafts, large.accepted_drafts)),
        ("Ended", ending(trace, live and trace.ended is None) or (trace.finish.value if trace.finish else "")),
        ("Notices", "\n".join(dict.fromkeys(notice.text for notice in trace.notices))),
    ]


def writing_text(trace: Trace, author: Author) -> str:
    """Return “1.2 s, 41 tok/s” for a model that wrote; the speed leaves out reading and waiting."""
    done = trace.totals[author]
    speed = f", {done.tokens_per_second:,.0f} tok/s" if done.tokens_per_second else ""
    return f"{duration(done.decode_seconds)}{speed}" if done.decoded else ""


def context_text(trace: Trace) -> str:
    if trace.started is None:
        return ""
    held = min((card.context for card in trace.started.cards.values()), default=0)
    return f"{trace.started.prompt_tokens + trace.tokens:,} of {counted(held, 'token')}"


def model_facts(trace: Trace, author: Author) -> list[Fact]:
    """Return the facts of the model of this author; if there are several, of each, with what it wrote."""
    models = [model for model in trace.models if model.author is author]
    if len(models) < 2:
        return card_facts(models[0].card if models else None)
    facts = list[Fact]()
    for _, card, tokens in models:
        name, *others = card_facts(card)
        facts += [name, ("Wrote", counted(tokens, "token")), *others]
    return facts


def settings_facts(runs: Sequence[RunStarted]) -> list[Fact]:
    """Return the policies of all runs in order, then the settings of the last one, and which were others before."""
    policies = [POLICIES[run.policy].title if run.policy in POLICIES else run.policy for run in runs]
    last, fields = runs[-1], RunSettings.model_fields
    others = [name for name, value in last.settings.items() if any(run.settings.get(name) != value for run in runs)]
    return [
        ("Policy", ", then ".join(title for title, _ in groupby(policies))),
        ("Other before", ", ".join(_title(name, fields) for name in others)),
        *parameters(last.policy, last.settings),
    ]


def card_facts(card: ModelCard | None) -> list[Fact]:
    if card is None:
        return [("Name", "none")]
    return [
        ("Name", card.name),
        ("Model", " · ".join(filter(None, (card.architecture, card.quantisation, parameter_count(card.parameters))))),
        ("Runs on", card.location),
        ("Context", f"{card.context:,} tokens"),
        ("Thinking", f"{card.thinking.opening} … {card.thinking.closing}" if card.thinking else "no tags"),
        ("Drafting", card.drafting),
        *own_facts(card.overrides),
        *placement_facts(card),
    ]


def parameters(policy: str, settings: dict[str, object]) -> list[Fact]:
    """Return all settings of a run by their titles, with those of its policy and of the limits."""
    kind, facts = POLICIES.get(policy), list[Fact]()
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
