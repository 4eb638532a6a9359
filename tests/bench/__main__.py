"""Run the benches: all, or those named: `python -m tests.bench path handoff`."""

import importlib
import sys

BENCHES = ("path", "economy", "remote", "handoff", "batch", "schedule", "window")

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHES:
        importlib.import_module(f"tests.bench.{name}").main()
