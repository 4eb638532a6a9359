"""How long a person waits for a batch of 150,000 jobs: `python -m tests.bench.large_batch` (docs/batch.md)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from baton_reasoning.core.demo_pair import held_out_problems

PROBLEMS = 50_000
ARMS = ("small", "large", "baton")


def main() -> None:
    print(f"{PROBLEMS * len(ARMS):,} jobs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with TemporaryDirectory() as folder:
        file, out = Path(folder, "problems.jsonl"), Path(folder, "out")
        with file.open("w") as lines:
            for problem in islice(held_out_problems(seed=3), PROBLEMS):
                lines.write(json.dumps({"problem": problem.question, "answer": problem.answer}) + "\n")
        arms = [word for arm in ARMS for word in ("--arm", arm)]
        began = time.monotonic()
        with _baton("batch", "run", file, *arms, "--out", out, "--no-history", "--json") as process:
            assert process.stdout
            process.stdout.readline()
            print(f"from the command to the first answer    {time.monotonic() - began:6.1f} s")
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            process.communicate()
            print(f"from Ctrl+C to the end of the program   {time.monotonic() - began:6.1f} s")
        began = time.monotonic()
        with _baton("batch", "report", out) as process:
            process.communicate()
        print(f"baton batch report                      {time.monotonic() - began:6.1f} s")


def _baton(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "baton_reasoning", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


if __name__ == "__main__":
    main()
