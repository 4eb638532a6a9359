"""The address of a server and how it is reached: URL, key, certificates, proxy."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from baton_reasoning.core.errors import SettingsError

LLAMA_SERVER_PORTS = (9931, 8080)
"""llama-server's default ports: today's, and that of builds before October 2026."""


def canonical(url: str) -> str:
    """Return the normal form of an address: without blanks, a last slash, and a trailing `/v1` before its `#model`."""
    base, _, model = url.strip().partition("#")
    base = base.rstrip("/").removesuffix("/v1")
    return f"{base}#{model}" if model else base


def without_model(url: str) -> str:
    """Return the normal form of the address of a server, without the model there."""
    return canonical(url.partition("#")[0])


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """An address as a person enters it: `http(s)://host[:port][/path][#model]`; a trailing `/v1` is dropped.

    Raises SettingsError if it is not an address.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    """Sent as a Bearer token, to this address only."""
    authority: Path | None = None
    """A private CA, or the server's own certificate, as PEM."""
    any_certificate: bool = False
    """Accept any certificate: a risk, see `risks`."""
    proxy: str | None = None
    """None: from the environment (HTTPS_PROXY, NO_PROXY …)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", canonical(self.url))
        advice = "Write it as http://host:port or https://host:port."
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            raise SettingsError(f"“{self.url}” is not a server address.", advice) from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"“{self.url}” is not a server address.", advice)
        if parts.username or parts.password:
            raise SettingsError("A key does not belong in an address.", "Enter it in the field for the key.")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise SettingsError("The key contains characters that no key has.", "Copy it again, without line breaks.")

    @property
    def base_url(self) -> str:
        """The address without the model."""
        return without_model(self.url)

    @property
    def model(self) -> str:
        """Which model, where the server has several; empty: not named."""
        return self.url.partition("#")[2]

    @property
    def host(self) -> str:
        """Host and port, for people."""
        return urlsplit(self.url).netloc

    @property
    def is_this_machine(self) -> bool:
        name = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"

    @property
    def risks(self) -> tuple[str, ...]:
        """Warnings to show before a text or a key is sent there, a sentence each."""
        risks = []
        if self.any_certificate:
            risks.append(f"Anyone in between can pose as {self.host}: its certificate is not checked.")
        if self.url.startswith("http:") and not self.is_this_machine:
            risks.append(f"Texts{' and the key' if self.key else ''} go to {self.host} unencrypted.")
        return tuple(risks)

    def tls(self) -> ssl.SSLContext:
        """Make the TLS settings. Raises SettingsError if the private CA cannot be read."""
        if self.any_certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        context = ssl.create_default_context()
        if self.authority:
            try:
                context.load_verify_locations(self.authority)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(
                    f"{self.authority.name} cannot be used as a certificate file.",
                    "Choose a PEM file (it begins with “-----BEGIN CERTIFICATE-----”).",
                ) from error
        return context
