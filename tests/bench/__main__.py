"""Measure every figure and print the table of docs/measurements.md; `make bench` also writes it there.

    python -m tests.bench [P1 P5 …] [--rounds 5] [--write]

Without names, all figures. `--write` puts what was measured into docs/measurements.md; other figures stay.
Each figure has a process of its own, so that one that fails leaves the others. Let the machine rest meanwhile.
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench.table import HEAD, Row, line, write

MODULES = {
    "P1": "path",
    "P3": "remote",
    "P4": "batch",
    "P5": "schedule",
    "P6": "window",
    "P7": "drafting",
    "P9": "scoring",
    "P12": "prediction",
    "P13": "threads",
    "P14": "fixed_cost",
    "P15": "handoff",
    "fit": "fit",
}
"""What measures each figure: `rows(rounds)` of the module yields the lines of the table."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Speed, measured side by side.")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"{', '.join(MODULES)}; all, if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair of figures is taken (5)")
    parser.add_argument("--write", action="store_true", help="write the table of docs/measurements.md")
    parser.add_argument("--json", action="store_true", help="rows as JSON, in this process")
    chosen = parser.parse_args()
    if unknown := [figure for figure in chosen.figures if figure not in MODULES]:
        parser.error(f"there is no figure {unknown[0]}")
    figures = chosen.figures or list(MODULES)
    if chosen.json:
        for figure in figures:
            for row in importlib.import_module(f"tests.bench.{MODULES[figure]}").rows(chosen.rounds):
                print(json.dumps(row), flush=True)
        return 0
    measured: list[Row] = []
    failed: list[str] = []
    print("\n".join(HEAD), flush=True)
    for figure in figures:
        began = time.perf_counter()
        try:
            for row in in_own_process(figure, chosen.rounds):
                measured.append(row)
                print(line(row), flush=True)
        except subprocess.CalledProcessError:
            failed.append(figure)
        print(f"{figure}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    if chosen.write:
        write(measured)
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


def in_own_process(figure: str, rounds: int) -> Iterator[Row]:
    """Raises CalledProcessError if it failed; its error was printed."""
    command = [sys.executable, "-m", "tests.bench", figure, "--json", "--rounds", str(rounds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for text in process.stdout:
            if text.startswith("["):
                yield Row(*json.loads(text))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


if __name__ == "__main__":
    sys.exit(main())
