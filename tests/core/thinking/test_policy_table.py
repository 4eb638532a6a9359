"""The table of policies in docs/method.md says what the registry says."""

from __future__ import annotations

from pathlib import Path

from core.thinking.policy import Policy
from core.thinking.registry import POLICIES

PAGE = Path(__file__).parents[3] / "docs" / "method.md"
HEAD = "| policy | when the other model writes | parameters (default) |\n|---|---|---|\n"


def plain(value: object) -> str:
    return str(getattr(value, "value", value)).strip()


def row(policy: type[Policy]) -> str:
    defaults = policy.Settings()
    fields = [name for name in policy.Settings.model_fields if name != "policy"]
    parameters = ", ".join(f"`{name}` ({plain(getattr(defaults, name))})" for name in fields)
    return f"| `{policy.name}` | {policy.summary} | {parameters or 'none'} |\n"


def test_the_table_of_policies_is_complete_and_true() -> None:
    table = HEAD + "".join(map(row, POLICIES.values()))
    assert table in PAGE.read_text(encoding="utf-8"), f"the table should be\n{table}"
