"""`baton gpu`: show the builds of llama.cpp and the GPUs that they find, and install another one."""

from __future__ import annotations

import click

from baton_reasoning.app.shared.format import short_path
from baton_reasoning.app.terminal.command_line import as_json, command, command_group
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.output import remark, write, write_table
from baton_reasoning.app.terminal.streams import write_json_lines
from baton_reasoning.core.diagnosis import gpu_checks
from baton_reasoning.core.models.build_maker import Backend
from baton_reasoning.core.models.builds import install, list_builds
from baton_reasoning.core.models.devices import find_devices, offloaded_to
from baton_reasoning.core.paths import Paths

LOG = "gpu_install.log"


@command_group("gpu")
def gpu() -> None:
    """Show what llama.cpp runs on, and give it another backend."""


@command("list", gpu)
@as_json
def list_gpu(json: bool) -> int:
    """List the installed builds of llama.cpp, and the GPUs that the one in use finds."""
    builds = list_builds()
    if json:
        write_json_lines(
            {"backend": each.backend.value, "used": each.is_used, "folder": str(each.libraries)} for each in builds
        )
        return ExitCode.ANSWERED
    rows = [(each.backend.value, "in use" if each.is_used else "", short_path(each.libraries)) for each in builds]
    write_table(("backend", "", "folder"), rows)
    for check in gpu_checks(find_devices()):
        write(f"{check.subject}: {check.finding} {check.remedy}".rstrip())
    return ExitCode.ANSWERED


@command("install", gpu)
@click.argument("backend", type=click.Choice([each.value for each in Backend]))
def install_backend(backend: str) -> int:
    """Let llama.cpp use BACKEND from now on; cpu takes it off the GPU.

    A prebuilt build is downloaded where there is one, else llama.cpp is compiled. It is used only once it has been
    loaded and has found a GPU; if anything goes wrong, everything stays as it is. Builds are kept, so that going back
    takes no time.
    """
    wanted = Backend(backend)
    devices = install(wanted, Paths.of_user().cache / LOG, remark)
    gpus = ", ".join(f"{gpu.name} ({gpu.description})" for gpu in offloaded_to(devices))
    write(f"llama.cpp uses {wanted.title} from now on{f': {gpus}' if gpus else ''}.")
    return ExitCode.ANSWERED
