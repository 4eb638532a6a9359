"""Files of problems for tests: written to a temporary folder and read back; and a store that is damaged."""

import sqlite3
from contextlib import closing
from pathlib import Path

from baton_reasoning.core.batch.reading.problems import ProblemSet, read_problems


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, name: str, content: str | bytes) -> ProblemSet:
    return read_problems(written(folder, name, content))


def texts(found: ProblemSet) -> list[str]:
    return [problem.text for problem in found.problems]


def damage(store: Path) -> None:
    """Make the text of every run in this file unreadable."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE event_chunks SET events = x'00'")
