"""python -m demo_pair SMALL_SEED LARGE_SEED FOLDER: train both models and write their files, for `make.sh` to check."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from demo_pair.making import make
from demo_pair.trainer import LARGE, SMALL


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo_pair", description=__doc__)
    parser.add_argument("small_seed", type=int)
    parser.add_argument("large_seed", type=int)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    wanted = ((SMALL, arguments.small_seed), (LARGE, arguments.large_seed))
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        runs = [pool.submit(make, recipe, seed, arguments.folder) for recipe, seed in wanted]
        for run in runs:
            run.result()


if __name__ == "__main__":
    main()
