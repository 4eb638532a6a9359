"""Print the requirements of lock files that hold on Windows, with their hashes: `requirements.py PYTHON LOCK …`.

pip evaluates a requirement's marker for the system that it runs on, also where it downloads for another.
"""

import re
import sys
from pathlib import Path

from packaging.markers import Marker

_REQUIREMENT = re.compile(r"^([\w.-]+==\S+)(?: *;([^\\\n]*))?((?: *\\\n +--hash=\S+)+)", re.MULTILINE)


def holding(python: str, locks: list[Path]) -> dict[str, str]:
    """Return each pinned package with its line and hashes, for a Windows CPython such as 3.13."""
    windows = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "win32",
        "platform_system": "Windows",
        "platform_machine": "AMD64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "nt",
    }
    found = {}
    for lock in locks:
        for pin, marker, hashes in _REQUIREMENT.findall(lock.read_text(encoding="utf-8")):
            if not marker or Marker(marker.strip()).evaluate(windows):
                found[pin] = pin + hashes
    return found


if __name__ == "__main__":
    print("\n".join(holding(sys.argv[1], [Path(name) for name in sys.argv[2:]]).values()))
