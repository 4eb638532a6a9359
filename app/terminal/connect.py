"""`baton connect`: test a server as a run would use it, without writing anything there."""

from __future__ import annotations

import argparse

from app.terminal.options import add_server_options, remote_options, server_address
from core.engines.connection import ConnectionReport, try_connection


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("connect", help="test a server", description=__doc__)
    parser.add_argument("url", help="http(s)://host:port")
    add_server_options(parser)
    parser.set_defaults(carry_out=connect)


def connect(arguments: argparse.Namespace) -> int:
    report = try_connection(server_address(arguments, arguments.url), remote_options(arguments))
    for line in findings(report):
        print(line)
    if report.problem:
        raise report.problem
    return 0


def findings(report: ConnectionReport) -> list[str]:
    """What the test found, a line each."""
    lines = [f"{report.host}: {'reachable' if report.reachable else 'not reachable'}"]
    if report.key_accepted is not None:
        lines.append("key accepted" if report.key_accepted else "key refused")
    if card := report.card:
        lines.append(f"{card.name}, {card.context:,} tokens of context per slot")
    if report.slots is not None:
        lines.append(f"{report.free_slots} of {report.slots} slots free")
    if report.milliseconds is not None:
        lines.append(f"answers in {report.milliseconds:.0f} ms")
    return [*lines, *report.cannot, *report.risks]
