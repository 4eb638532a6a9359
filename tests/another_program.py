"""Runs a function of a test module in a program of its own, also in another process namespace, as in a container."""

import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@cache
def _namespace():
    """The command that gives a program its own process numbers and its own /proc; empty where that is not allowed."""
    for more in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *more, "--pid", "--fork", "--mount-proc", "--kill-child"]
        try:
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
                return command
        except FileNotFoundError:
            break
    return []


@contextmanager
def another_program(function, *arguments, in_namespace=False):
    """Call a function of a test module with texts; yields the program, whose standard output it may write to.

    It goes on after each line that it reads. `in_namespace`: it and this program cannot see each other's processes.
    """
    if in_namespace and not _namespace():
        pytest.skip("This system gives no process namespace to a test.")
    call = f"import sys; from {function.__module__} import {function.__name__} as call; call(*sys.argv[1:])"
    command = [*(_namespace() if in_namespace else ()), sys.executable, "-c", call, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()
