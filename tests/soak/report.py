"""What a soak found, as text and as the table of docs/measurements.md."""

import re
import sys
import threading
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

from baton_reasoning.core.batch.running.batch import Provenance
from tests.soak.faults import Fault

MUST_BE_NONE = (
    "Kept tokens lost",
    "Problems lost or duplicated",
    "Resumed answers that changed policy",
    "Answers that differ from the undisturbed ones, without a notice",
    "Window stalls over 100 ms",
    "Hangs over 5 s",
    "Messages without a next step",
    "Processes left behind",
    "Files left behind",
)
TOKENS, PROBLEMS, POLICY, TEXT, STALLS, HANGS, MESSAGES, PROCESSES, FILES = MUST_BE_NONE
BEGIN, END = "<!-- soak -->", "<!-- /soak -->"
_NEXT_STEP = re.compile(r"[.!?…”)] +[A-Z“]")
_TRACEBACK = "Traceback (most recent call last)"


class Report:
    """Filled by all lanes."""

    def __init__(self, wanted: int, seed: int) -> None:
        self.wanted, self.seed = wanted, seed
        self.began = time.monotonic()
        self.seconds: defaultdict[Fault, list[float]] = defaultdict(list)
        """What each of the faults that were brought about has cost."""
        self.counts: Counter[str] = Counter()
        self.answers = self.starts = 0
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def took(self, fault: Fault, seconds: float) -> None:
        with self._lock:
            self.seconds[fault].append(seconds)

    def count(self, what: str, number: int, *details: str) -> None:
        with self._lock:
            self.counts[what] += number
        if number:
            for detail in details:
                show(f"{what}: {detail}")

    def add_answer(self) -> None:
        with self._lock:
            self.answers += 1

    def hear(self, *messages: str) -> None:
        """Each different message is counted once."""
        for message in messages:
            with self._lock:
                is_new = message not in self._said
                self._said.add(message)
            if is_new and message and not has_next_step(message):
                self.count(MESSAGES, 1, message[-500:])

    @property
    def done(self) -> int:
        return sum(map(len, self.seconds.values()))

    def markdown(self, command: str, note: str) -> str:
        here = Provenance.of_this_machine()
        system = here.system.partition("-")[0]
        machine = f"{here.processor}, {here.cores} cores, {here.memory / 2**30:.0f} GiB, {system}"
        minutes = (time.monotonic() - self.began) / 60
        taken = ((fault.value[0], self.seconds[fault]) for fault in Fault)
        each = [f"{name} {len(seconds)} ({max(seconds, default=0):.1f})" for name, seconds in taken]
        lines = [
            f"`{command}` · {datetime.now(UTC):%Y-%m-%d} · Baton {here.baton} · {machine}",
            "",
            f"{self.done:,} faults in {minutes:.0f} minutes; {self.answers:,} answers compared; "
            f"{self.starts:,} starts of the program.",
            "",
            "| must be 0 | |",
            "|---|---|",
            *(f"| {what} | {self.counts[what]} |" for what in MUST_BE_NONE),
            "",
            f"Faults, and the seconds after the slowest: {', '.join(each)}.{note}",
        ]
        return "\n".join(lines)

    def write_into(self, page: Path, table: str) -> None:
        """Replace what stands between the two marks."""
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def has_next_step(message: str) -> bool:
    """Two sentences at least, and no traceback."""
    return bool(_NEXT_STEP.search(message)) and _TRACEBACK not in message


def show(words: str) -> None:
    """Progress, and what was found, on standard error."""
    print(f"soak: {words}", file=sys.stderr, flush=True)
