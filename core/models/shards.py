"""Models split into several files, “…-00001-of-00003.gguf”: llama.cpp wants them together, under these names."""

import re
from pathlib import Path

from core.errors import ModelFileError

MAX_SHARDS = 1000

_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def shards_of(path: Path) -> tuple[Path, ...]:
    """All files of the model that `path` belongs to, in order; raises ModelFileError if one is missing."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return (path,)
    number, count = int(match["number"]), int(match["count"])
    if not 1 <= number <= count <= MAX_SHARDS:
        raise ModelFileError(
            f"{path.name} calls itself part {number} of {count}, which cannot be.",
            "Give the file back the name under which it was published.",
        )
    shards = tuple(path.with_name(f"{match['stem']}-{part:05}-of-{count:05}.gguf") for part in range(1, count + 1))
    missing = [shard.name for shard in shards if not shard.exists()]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelFileError(
            f"{path.name} is one of {count} parts, and {missing[0]}{others} is not beside it.",
            "Download the missing parts into the same folder.",
        )
    return shards


def shard_group(path: Path) -> str | None:
    """What the names of all parts of one model share; None for a model in one file."""
    match = _NAME.fullmatch(path.name)
    return f"{match['stem']} of {match['count']}" if match else None
