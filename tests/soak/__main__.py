"""Faults without end: `python -m tests.soak --faults 1000 --seed 1` (docs/measurements.md)."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, LARGE_MODEL, SMALL_MODEL
from tests.soak.checks import Comparison, Reference, problems_of, reading, trace_of
from tests.soak.faults import UnreliableServer, Workplace
from tests.soak.lanes import BATCH_OPTIONS, CONTEXT, BatchLane, ChatLane, Lane, Soak
from tests.soak.report import Report, show
from tests.systems import user_folders

PAGE = Path(__file__).parents[2] / "docs" / "measurements.md"
PROBLEMS = 120
MODELS = {"small": SMALL_MODEL, "large": LARGE_MODEL}


def main() -> int:
    options = parsed()
    report = Report(options.faults, options.seed)
    with tempfile.TemporaryDirectory(prefix="baton-soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        problems = folder / "problems.jsonl"
        lines = BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:PROBLEMS]
        problems.write_text("\n".join(lines), encoding="utf-8")
        show("answers without faults, to compare with…")
        comparison = Comparison(report, undisturbed(folder, problems))
        report.began = time.monotonic()
        soak = Soak(comparison, problems, report.began + options.minutes * 60)
        with UnreliableServer(LARGE_MODEL, options.seed) as first, UnreliableServer(LARGE_MODEL, options.seed) as other:
            batch = BatchLane(soak, Workplace(folder / "batch", MODELS), first)
            lanes = [batch, ChatLane(soak, Workplace(folder / "chat", MODELS), other)]
            run(lanes, soak)
    command = f"python -m tests.soak {shlex.join(sys.argv[1:])}"
    has_disks = all(lane.place.can_fill_disk for lane in lanes)
    table = report.markdown(command, "" if has_disks else " No disk was filled: mounting a tmpfs needs root.")
    print(table)
    if options.write:
        report.write_into(PAGE, table)
    return 1 if any(report.counts.values()) else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__)
    parser.add_argument("--faults", type=int, default=1000, metavar="N", help="end after so many [1000]")
    parser.add_argument("--minutes", type=float, default=60, metavar="M", help="end after so long at the latest [60]")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what the faults are drawn from [1]")
    parser.add_argument("--write", action="store_true", help=f"put the report into docs/{PAGE.name}")
    return parser.parse_args()


def run(lanes: Sequence[Lane], soak: Soak) -> None:
    """Until all faults are done; Ctrl+C ends it early."""
    for lane in lanes:
        lane.thread.start()
    shown = 0.0
    try:
        while any(lane.thread.is_alive() for lane in lanes):
            for lane in lanes:
                lane.thread.join(0.5)
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                bad = ", ".join(f"{what}: {count}" for what, count in soak.report.counts.items() if count)
                show(f"{soak.report.done:,} of {soak.report.wanted:,} faults; {bad or 'nothing lost'}")
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the disks are unmounted in any case
        show("stopping; the report follows in seconds…")
        soak.over.set()
    for lane in lanes:
        lane.thread.join()


def undisturbed(folder: Path, problems: Path) -> dict[str, Reference]:
    """The answers to all problems, by problem."""
    out = folder / "undisturbed"
    models = ["--small", str(SMALL_MODEL), "--large", str(LARGE_MODEL), "--threads", "1", *CONTEXT]
    words = ["batch", "run", str(problems), "--out", str(out), "--no-history", "--parallel", "3"]
    command = [sys.executable, "-m", "baton_reasoning", *words, *BATCH_OPTIONS, *models]
    subprocess.run(command, env=os.environ | user_folders(folder / "home"), capture_output=True, check=True)
    with reading(out / "batch.sqlite") as connection:
        texts = problems_of(connection)
        jobs = connection.execute("SELECT problem, run FROM jobs").fetchall()
        return {texts[row["problem"]]: Reference.of(trace_of(connection, row["run"])) for row in jobs}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A script's background ignores Ctrl+C, and the programs that the soak stops by it would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
