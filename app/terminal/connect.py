"""`baton connect`: test a server as a run would use it, without generating text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import click

from baton_reasoning.app.terminal.command_line import OUTPUT, command, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.output import remark, write
from baton_reasoning.app.terminal.servers import ServerOptions, known_server, server_options
from baton_reasoning.app.terminal.streams import report, write_json
from baton_reasoning.core.engines.local.tokenizer import tokenize_by
from baton_reasoning.core.engines.remote.address import LLAMA_SERVER_PORTS
from baton_reasoning.core.engines.remote.server_check import ConnectionReport, Severity, try_connection
from baton_reasoning.core.engines.remote.vocabulary import PROBE
from baton_reasoning.core.models.source import server_urls

SIGNS = {Severity.GOOD: "✓", Severity.BAD: "✗", Severity.WARNING: "!", Severity.PLAIN: " "}


@command("connect")
@click.argument("url", required=False)
@option(
    "--beside", type=click.Path(path_type=Path), metavar="GGUF", help="Compare its vocabulary with that of this model."
)
@option("--json", is_flag=True, group=OUTPUT, help="One JSON object for each server.")
@server_options
def connect(url: str | None, beside: Path | None, json: bool, servers: ServerOptions) -> int:
    """Test a server as a run would use it, without generating text.

    URL is http(s)://host:port[#MODEL]; several are separated by commas. Without one, llama-server's default ports on
    this machine are tried. A router loads the model that is named, unless it has already.
    """
    ids = tokenize_by(beside, PROBE) if beside else ()
    addresses = server_urls(url) if url else [f"http://127.0.0.1:{port}" for port in LLAMA_SERVER_PORTS]
    reports = [try_connection(*known_server(servers, address), ids, cache(remark)) for address in addresses]
    if not url:
        reports = [each for each in reports if each.reachable] or reports
    for each in reports:
        _show(each, json)
    return ExitCode.FAILED if any(each.problem for each in reports) else ExitCode.ANSWERED


def _show(found: ConnectionReport, json: bool) -> None:
    if json:
        findings = [{"severity": each.severity.value, "text": each.text} for each in found.findings]
        models = [{"name": each.name, "status": each.status} for each in found.models]
        problem = str(found.problem) if found.problem else None
        write_json({"host": found.host, "models": models, "findings": findings, "problem": problem})
    else:
        write(found.host)
        for finding in found.findings:
            write(f"  {SIGNS[finding.severity]} {finding.text}")
    if found.problem:
        report(found.problem)
