"""`baton connect`: test a server as a run would use it, without writing anything there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.terminal.servers import add_server_options, known_server
from app.terminal.solve import ExitCode
from core.engines.factory import addresses
from core.engines.local.tokenizer import tokenize_by
from core.engines.remote.vocabulary import PROBE
from core.engines.server_check import Severity, try_connection

SIGNS = {Severity.GOOD: "✓", Severity.BAD: "✗", Severity.WARNING: "!", Severity.PLAIN: " "}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("connect", help="test a server", description=__doc__)
    parser.add_argument("url", help="http(s)://host:port; several with commas between")
    parser.add_argument("--beside", type=Path, metavar="GGUF", help="compare the vocabulary with this model's")
    add_server_options(parser)
    parser.set_defaults(carry_out=connect)


def connect(arguments: argparse.Namespace) -> int:
    ids = tokenize_by(arguments.beside, PROBE) if arguments.beside else ()
    code = ExitCode.ANSWERED
    for url in addresses(arguments.url):
        report = try_connection(*known_server(arguments, url), ids)
        print(report.host)
        for finding in report.findings:
            print(f"  {SIGNS[finding.verdict]} {finding.words}")
        if report.problem:
            print(f"baton: {report.problem}", file=sys.stderr)
            code = ExitCode.FAILED
    return code
