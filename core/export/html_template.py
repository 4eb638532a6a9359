"""Renders HTML from the templates in resources/templates. Every value is escaped unless it is Markup."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """Render a template with these values. A missing value is an error."""
    return _environment().get_template(template).render(**values)


def markup(html: str) -> str:
    """Mark HTML of ours, never a model's, to be inserted as it is."""
    from markupsafe import Markup

    return Markup(html)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    templates = files("baton_reasoning.resources") / "templates"
    loader = FunctionLoader(lambda name: (templates / name).read_text(encoding="utf-8"))
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
