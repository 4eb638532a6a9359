"""Families of models as data (`resources/families.json`): how their makers sample, and the prompt they know."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from core.engines.base import OwnSettings


@dataclass(frozen=True)
class Family:
    name: str
    patterns: tuple[str, ...]
    """Of model names in lower case, with “-” between words and numbers: “qwen2-5-*-instruct*”."""
    sampling: OwnSettings
    """What its makers recommend."""
    prompt: str
    """The conversation `core.models.prompt_probe.PROBE` as its published template renders it, thinking opened."""


@cache
def families() -> tuple[Family, ...]:
    content = json.loads(files("resources").joinpath("families.json").read_text(encoding="utf-8"))
    return tuple(
        Family(entry["name"], tuple(entry["models"]), OwnSettings(**entry["sampling"]), "".join(entry["prompt"]))
        for entry in content
    )


def family_of(model: str) -> Family | None:
    """The first family that a model's name (`general.name`) belongs to."""
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return next((family for family in families() if any(fnmatchcase(name, each) for each in family.patterns)), None)
