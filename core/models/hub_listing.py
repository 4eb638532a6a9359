"""What one asks the Hub with and what it answers: data only, without the library that speaks to it."""

from dataclasses import dataclass
from pathlib import Path

from core.models.order import Order
from core.models.quantisations import Quantisation

ENDPOINT = "https://huggingface.co"


@dataclass(frozen=True)
class HubAccess:
    """How the Hub is reached. `endpoint`: as HF_ENDPOINT, for a mirror; `token` is never written anywhere here."""

    endpoint: str = ENDPOINT
    token: str | None = None
    offline: bool = False


@dataclass(frozen=True)
class Repository:
    """One search result."""

    name: str
    """“owner/name”."""
    downloads: int
    """In the last 30 days."""
    likes: int
    licence: str | None
    gated: bool
    """Its makers want you to agree to terms first."""


@dataclass(frozen=True)
class Listing:
    """What a repository holds, at one commit: sizes and hashes stay true."""

    repository: Repository
    revision: str
    parameters: int | None
    """Of the whole model, if the Hub has read it from the files."""
    choices: tuple[Quantisation, ...]


def order_for(listing: Listing, choice: Quantisation, models: Path) -> Order:
    """The download of one quantisation into `models`/owner/name, as LM Studio lays it out too."""
    folder = models.joinpath(*listing.repository.name.split("/"))
    return Order(f"{listing.repository.name.rpartition('/')[2]} {choice.label}", folder, choice.files)
