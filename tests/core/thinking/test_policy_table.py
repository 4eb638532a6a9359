"""The table of policies in docs/method.md names each policy and says when it hands over."""

from __future__ import annotations

import re
from pathlib import Path

from baton_reasoning.core.thinking.registry import PACKAGE, POLICIES

PAGE = Path(__file__).parents[3] / "docs" / "method.md"


def test_the_table_names_every_policy_in_the_words_of_the_menus() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| [^|]+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    own = [policy for policy in POLICIES.values() if policy.__module__.startswith(PACKAGE)]  # plug-ins may be installed
    assert sorted(rows) == sorted((policy.name, policy.summary) for policy in own)
