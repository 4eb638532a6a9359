"""The endpoint refuses foreign hosts, foreign origins and missing keys."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.serve.access import AccessRules, origins

LOCAL = {"host": "localhost:8000"}


def refused(rules: AccessRules, **headers: str) -> int | None:
    sent = Headers({**LOCAL, **headers})
    refusal = rules.foreign(sent) or rules.keyless(sent)
    return refusal.status if refusal else None


def test_a_client_on_this_machine_may_ask():
    assert refused(AccessRules()) is None
    assert refused(AccessRules(), host="[::1]:8000") is None


def test_a_name_that_a_foreign_page_made_resolve_here_is_refused():
    assert refused(AccessRules(), host="evil.example:8000") == 403
    assert refused(AccessRules(allowed_hosts=frozenset({"GPU.lan"})), host="gpu.lan:8000") is None


def test_a_page_in_a_browser_is_refused_unless_its_origin_is_allowed():
    assert refused(AccessRules(), origin="https://evil.example") == 403
    assert refused(AccessRules(), origin="null") == 403


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("http://localhost:3000/", "http://localhost:3000"),
        ("HTTP://LocalHost:3000", "http://localhost:3000"),
        ("http://localhost:80", "http://localhost"),
        ("https://Lab.Example:443/", "https://lab.example"),
        ("https://lab.example:80", "https://lab.example:80"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_allowed_as_a_browser_sends_it(given, sent):
    assert refused(AccessRules(allowed_origins=origins([given])), origin=sent) is None


def test_a_key_is_asked_for_where_one_is_set():
    rules = AccessRules(key="secret")
    assert refused(rules) == 401
    assert refused(rules, authorization="Bearer wrong") == 401
    assert refused(rules, authorization="Basic secret") == 401
    assert refused(rules, authorization="Bearer secret") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "gpu.lan"])
def test_other_machines_are_served_only_with_a_key(host):
    with pytest.raises(SettingsError, match="no API key is set"):
        AccessRules(host)
    assert AccessRules(host, key="secret").host == host


@pytest.mark.parametrize("text", ["localhost:3000", "http://localhost/path", "http://x:port", "file://x", ""])
def test_what_is_not_an_origin_is_refused(text):
    with pytest.raises(SettingsError, match="is not an origin"):
        origins([text])
