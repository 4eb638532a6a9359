"""What the dialog of two models offers: those in use, recent ones, those on this machine, and the catalogue's pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.options import DemoModel, LocalFile, ModelSource, parse_source
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.numbers import short_path, size

if TYPE_CHECKING:
    from baton_reasoning.core.models.catalog import CatalogModel, CatalogPair


@dataclass(frozen=True, slots=True)
class OfferedModel:
    source: str
    """Path or address, as the field takes it."""
    title: str
    """Its name, where it is, and ● or ◆ if it is in use."""


@dataclass(frozen=True, slots=True)
class OfferedPair:
    small: str
    large: str
    title: str
    good_for: str


def offered_models(
    in_use: ModelChoice,
    recent: Iterable[str],
    here: Sequence[str],
    known: Iterable[CatalogModel] = (),
    servers: Mapping[str, str] = MappingProxyType({}),
) -> list[OfferedModel]:
    """List each model once: in use, recent, on a server, on this machine, and of the catalogue what is not here.

    `here`: paths; `servers`: names by address.
    """
    signs: dict[str, str] = {}
    for author in (Author.SMALL, Author.LARGE):
        if not isinstance(source := in_use.get(author), DemoModel):
            signs[str(source)] = signs.get(str(source), "") + SIGN[author]
    places = dict.fromkeys(signs, "") | dict.fromkeys(servers, "server")
    places |= dict.fromkeys(recent, "recent") | dict.fromkeys(here, "on this machine")
    offered = []
    for text in dict.fromkeys((*signs, *recent, *servers, *here)):
        mark = f"in use {signs[text]}" if text in signs else ""
        title = (servers.get(text, ""), *_name(parse_source(text)), mark or places[text])
        offered.append(OfferedModel(text, " · ".join(filter(None, title))))
    names, listed = {Path(path).name for path in here}, {each.source for each in offered}
    for model in known:
        if model.file not in names and str(model.hub_file) not in listed:
            words = f"{model.name} · on the Hub, {size(model.bytes)}"
            offered.append(OfferedModel(str(model.hub_file), words))
    return offered


def offered_pairs(here: Sequence[str], pairs: Iterable[CatalogPair]) -> list[OfferedPair]:
    """List the catalogue's pairs, those on this machine first."""
    paths = {Path(path).name: path for path in here}
    found = []
    for pair in pairs:
        missing = [model for model in (pair.small, pair.large) if model.file not in paths]
        where = f"{size(sum(model.bytes for model in missing))} to download" if missing else "on this machine"
        small, large = (paths.get(model.file, str(model.hub_file)) for model in (pair.small, pair.large))
        text = f"{SIGN[Author.SMALL]} {pair.small.name}  {SIGN[Author.LARGE]} {pair.large.name} · {where}"
        found.append((bool(missing), OfferedPair(small, large, text, pair.good_for)))
    return [pair for _, pair in sorted(found, key=lambda each: each[0])]


def known_models(pairs: Iterable[CatalogPair]) -> Collection[CatalogModel]:
    """List each model of these pairs once."""
    return {model.file: model for pair in pairs for model in (pair.small, pair.large)}.values()


def _name(source: ModelSource) -> tuple[str, ...]:
    """Return file and folder, or the address."""
    if isinstance(source, LocalFile):
        return source.path.name, short_path(source.path.parent)
    return (str(source),)
