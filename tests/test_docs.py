"""The documentation names what there is: pages, headings, files of the source, and events with their fields."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from baton_reasoning.core.thinking.events import Event
from baton_reasoning.core.thinking.reasons import SHARED_REASONS
from baton_reasoning.core.thinking.requests import Request
from baton_reasoning.core.thinking.trace_json import KINDS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "tests/*.md", "packaging/*/*.md", "resources/*/*.md")
    for path in ROOT.glob(pattern)
)
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
SOURCE = re.compile(r"`((?:app|core|docs|packaging|resources|tests)/[\w./-]+)`")
REQUESTS = {kind.__name__: kind for kind in Request.__subclasses__()}
"""By name: a dataclass with slots may be listed twice, as it was made and without them."""
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@every_page
def test_every_link_leads_somewhere(page):
    for target, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@every_page
def test_every_file_that_is_named_exists(page):
    named = {name for name in SOURCE.findall(page.read_text(encoding="utf-8")) if "NAME" not in name}
    missing = {name for name in named if not (ROOT / name).exists() and not (page.parent / name).exists()}
    new = set(re.findall(r"Create `([\w./]+)`", page.read_text(encoding="utf-8")))
    assert missing <= new


def test_pictures_are_few_and_small_and_each_is_shown_by_a_page():
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert len(pictures) <= 12
    for picture in pictures:
        assert f"images/{picture.name})" in pages
        assert picture.stat().st_size <= 150_000, picture.name


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_event_is_documented_with_its_fields(kind):
    page = (ROOT / "docs" / "trace.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{kind}` \| (.+) \|$", page, re.MULTILINE)
    assert row, kind
    event: type[Event] = KINDS[kind]
    fields = [field for field in event.__struct_fields__ if field != "at"]
    assert [field for field in fields if f"`{field}`" not in row[1]] == []


@pytest.mark.parametrize("kind", REQUESTS.values(), ids=REQUESTS)
def test_every_request_is_documented_with_its_fields(kind):
    call = f"{kind.__name__}({', '.join(field.name for field in fields(kind))})"
    assert f"`{call}`" in (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def test_every_shared_reason_is_documented():
    page = (ROOT / "docs" / "trace.md").read_text(encoding="utf-8")
    assert [reason.id for reason in SHARED_REASONS if f"`{reason.id}`" not in page] == []
