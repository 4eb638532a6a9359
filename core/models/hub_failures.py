"""Maps refusals of the Hub (HTTP status) and network failures to DownloadError, with advice."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from baton_reasoning.core.errors import DownloadError

LONGEST_POLITE_WAIT = 120.0  # seconds; for longer waits a person should retry
IN_WINDOW = "in the window: Models, Folders and access"
GIVE_TOKEN = f"set HF_TOKEN to an access token ({IN_WINDOW})"
"""Advice begins with what works everywhere, and ends with where the window has it."""


def refused(what: str, status: int, reason: str, has_token: bool, page: str) -> DownloadError:
    """Make the error for a request that was answered with this status. `page` has the terms, for a person."""
    match status:
        case HTTPStatus.UNAUTHORIZED if has_token:
            return DownloadError(
                f"The Hub does not accept the token that was sent for {what}.",
                f"Make a new one on the Hub (Settings, Access Tokens) and set HF_TOKEN to it ({IN_WINDOW}).",
            )
        case HTTPStatus.UNAUTHORIZED:
            return DownloadError(
                f"{what} is private, gated or does not exist: the Hub requires a token.",
                f"Check the name; if it is right, {GIVE_TOKEN}.",
            )
        case HTTPStatus.FORBIDDEN:
            return DownloadError(
                f"{what} is gated: its publisher requires agreement to terms first.",
                f"Agree on {page} with your account, " + ("then try again." if has_token else f"then {GIVE_TOKEN}."),
            )
        case HTTPStatus.NOT_FOUND:
            return DownloadError(f"{what} does not exist, or no longer.", "Check the name, or search for it again.")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return DownloadError(
                f"The Hub has been asked too often{': ' + reason if reason else ''}.",
                "Wait a few minutes; with an access token the limit is higher.",
            )
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return DownloadError(f"The Hub has a fault of its own (HTTP {status}) with {what}.", "Try again later.")
    return DownloadError(f"The Hub refused {what} (HTTP {status}{': ' + reason if reason else ''}).")


def unreachable(host: str, reason: str) -> DownloadError:
    """Make the error for a host that cannot be reached."""
    if any(sign in reason for sign in ("Errno -2", "Errno -3", "Errno 8]", "11001", "getaddrinfo", "resolution")):
        reason = "its name is not found, so this machine may be offline"
    return DownloadError(
        f"{host} cannot be reached: {reason}.",
        f"Check the connection; if the Hub is blocked here, set HF_ENDPOINT to the address of a mirror ({IN_WINDOW}).",
    )


def offline(what: str) -> DownloadError:
    """Make the error for a request while Baton is set to offline."""
    return DownloadError(f"{what} needs the Hub, and Baton is set to offline.", f"Untick “Offline” ({IN_WINDOW}).")


def seconds_to_wait(retry_after: str | None, otherwise: float) -> float:
    """Parse Retry-After, seconds or a date (RFC 9110, 10.2.3); `otherwise` if it is missing or invalid."""
    if retry_after is None:
        return otherwise
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return otherwise
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0) if moment.tzinfo else otherwise
