"""The program that is killed: `python -m tests.core.batch.killed_batch STORE BATCH` runs the batch to its end.

It says on standard output what it does, one line each: "." for a token, "start JOB", "end JOB".
"""

from __future__ import annotations

import sys
from pathlib import Path

from baton_reasoning.core.batch.running.progress import JobEnded, JobStarted
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store import runs
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import unlike_after_reading
from tests.fakes.scripted import ScriptedEngine


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(path: str, batch: str) -> None:
    runs.BUFFER_SECONDS = 0.0  # so that a kill leaves texts of which a part is saved
    pair = Pair(ScriptedEngine(continue_with=unlike_after_reading, before_token=lambda _: say(".")))
    with Store.open(Path(path)) as store, Grader() as grader:
        for happening in Runner(store, batch, pair, grader, parallel=3).run():
            match happening:
                case JobStarted(job):
                    say(f"start {job.id}")
                case JobEnded(row):
                    say(f"end {row.job}")


if __name__ == "__main__":
    main(*sys.argv[1:])
