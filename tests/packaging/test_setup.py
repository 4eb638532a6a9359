"""Every decision of packaging/setup.sh, taken by the real script on machines made of files."""

from pathlib import Path

import pytest

from tests.packaging.sandbox import Machine

pytestmark = pytest.mark.slow

INSTALLED = ("install packaging/lock/run.txt", "install baton")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


# Which back end ------------------------------------------------------------------------------------------------------


def test_without_a_gpu_a_prebuilt_cpu_wheel_is_taken(machine):
    machine.has("wheel-cpu")
    outcome = machine.set_up()
    assert outcome.did == ("fetch cpu", *INSTALLED)
    assert outcome.last_line == "baton: ready: llama.cpp for the CPU from a prebuilt wheel; no GPU was found"


def test_where_no_wheel_is_to_be_had_llama_cpp_is_compiled(machine):
    machine.has("offline")
    outcome = machine.set_up()
    assert outcome.did == ("fetch cpu", "compile cpu", *INSTALLED)
    assert outcome.last_line == "baton: ready: llama.cpp for the CPU, compiled here; no GPU was found"


def test_an_nvidia_driver_without_a_compiler_gets_the_prebuilt_cuda_wheel_that_the_driver_can_run(machine):
    machine.nvidia_driver("12.4")
    machine.has("wheel-cu124", "wheel-cu125")
    outcome = machine.set_up()
    assert outcome.did == ("fetch cu124", *INSTALLED)
    assert outcome.last_line == "baton: ready: llama.cpp for CUDA from a prebuilt wheel; an NVIDIA GPU was found"


def test_an_older_cuda_wheel_serves_a_newer_driver(machine):
    machine.nvidia_driver("12.8")
    machine.has("wheel-cu125")
    assert machine.set_up().did == ("fetch cu125", *INSTALLED)


def test_cuda_is_compiled_where_its_compiler_is(machine):
    machine.nvidia_driver()
    machine.command("nvcc")
    assert "compile cuda" in machine.set_up().did


def test_an_nvidia_gpu_is_used_by_vulkan_where_cuda_cannot_be_had(machine):
    machine.nvidia_driver()
    machine.library("libvulkan.so.1")
    machine.has("wheel-vulkan")
    outcome = machine.set_up()
    assert outcome.did == ("fetch cu125", "fetch vulkan", *INSTALLED)
    assert "for Vulkan from a prebuilt wheel; an NVIDIA GPU was found, but" in outcome.last_line
    assert "there is no CUDA compiler (nvcc)" in outcome.last_line


def test_ending_on_the_cpu_although_a_gpu_is_here_is_said_with_the_remedy(machine):
    machine.nvidia_driver()
    machine.has("offline")
    machine.command("dnf")
    outcome = machine.set_up()
    assert outcome.did == ("fetch cu125", "compile cpu", *INSTALLED)
    assert "for the CPU, compiled here, although an NVIDIA GPU is here" in outcome.last_line
    assert "the index of prebuilt wheels cannot be reached" in outcome.last_line
    assert "sudo dnf install gcc-c++ vulkan-loader" in outcome.last_line
    assert outcome.last_line.endswith("Then run: GPU=auto packaging/setup.sh run")


@pytest.mark.parametrize("driver", ["amdgpu", "i915", "xe", "nouveau"])
def test_other_cards_are_used_by_vulkan(machine, driver):
    machine.card(driver)
    machine.vulkan_to_build()
    outcome = machine.set_up()
    assert "compile vulkan" in outcome.did
    assert outcome.last_line.endswith(f"for Vulkan, compiled here; a GPU of the driver {driver} was found")


def test_a_virtual_card_is_no_gpu(machine):
    machine.card("virtio-pci")
    assert "fetch cpu" in machine.set_up().did


def test_a_mac_gets_metal(machine):
    machine.system("Darwin")
    machine.has("wheel-metal")
    assert machine.set_up().did == ("fetch metal", *INSTALLED)


def test_a_wheel_that_lacks_the_back_end_or_does_not_load_is_not_taken(machine):
    machine.card("amdgpu")
    machine.vulkan_to_build()
    machine.has("wheel-vulkan", "broken-library")
    outcome = machine.set_up()
    assert outcome.code == 1
    assert "the prebuilt wheel for vulkan does not run here" in outcome.output
    assert "the library compiled for Vulkan does not load" in outcome.output


# What a person asks for ----------------------------------------------------------------------------------------------


def test_a_back_end_that_was_asked_for_is_kept_by_later_runs(machine):
    machine.vulkan_to_build()
    assert "compile vulkan" in machine.set_up(GPU="vulkan").did
    assert machine.set_up().did == ()
    later = machine.set_up("test")
    assert not [line for line in later.did if line.startswith(("fetch", "compile"))]
    assert "for Vulkan, compiled here, as GPU=vulkan asked" in later.last_line


def test_a_wheel_compiled_before_is_used_again_and_only_for_its_own_back_end(machine):
    machine.vulkan_to_build()
    assert "compile vulkan" in machine.set_up(GPU="vulkan").did
    assert "compile cpu" in machine.set_up(GPU="cpu").did
    again = machine.set_up(GPU="vulkan")
    assert again.code == 0
    assert not [line for line in again.did if line.startswith("compile")]
    assert list(machine.tree.glob(".venv/**/libggml-vulkan.so"))


def test_a_back_end_that_was_asked_for_is_not_replaced_by_another(machine):
    outcome = machine.set_up(GPU="cuda")
    assert outcome.code == 1
    assert "could not be installed for CUDA" in outcome.last_line
    assert "there is no CUDA compiler (nvcc)" in outcome.last_line


def test_a_gpu_that_came_later_is_found_when_asked_to_look(machine):
    machine.set_up()
    machine.card("amdgpu")
    machine.vulkan_to_build()
    assert machine.set_up().did == ()
    assert "compile vulkan" in machine.set_up(GPU="auto").did


def test_an_unknown_back_end_is_rejected(machine):
    outcome = machine.set_up(GPU="opencl")
    assert (outcome.code, outcome.did) == (1, ())
    assert "Choose auto, cuda, metal, vulkan or cpu" in outcome.last_line


def test_no_wheel_is_looked_for_without_an_index(machine):
    machine.has("wheel-cpu")
    assert "compile cpu" in machine.set_up(BATON_WHEEL_INDEX="").did


def test_a_llama_cpp_that_was_installed_by_hand_is_kept(machine):
    machine.has("wheel-cpu")
    machine.set_up()
    (machine.tree / ".venv" / ".backend").unlink()
    again = machine.set_up("test")
    assert "fetch cpu" not in again.did
    assert "which was in .venv already" in again.last_line


# What the system lacks -----------------------------------------------------------------------------------------------


def test_packages_are_named_and_with_sudo_they_are_installed(machine):
    machine.apt()
    machine.lacks("c++")
    outcome = machine.set_up()
    assert outcome.code == 1
    assert "Please run: sudo apt install g++" in outcome.output
    machine.sudo()
    outcome = machine.set_up()
    assert outcome.did[1:4] == ("sudo", "sudo", "apt g++")  # update, then install


def test_as_root_packages_are_installed(machine):
    machine.has("root")
    machine.apt()
    machine.lacks("c++")
    outcome = machine.set_up()
    assert "apt g++" in outcome.did
    assert "compile cpu" in outcome.did


@pytest.mark.parametrize(
    ("manager", "line"),
    [("dnf", "sudo dnf install gcc-c++"), ("pacman", "sudo pacman -S --needed gcc")],
)
def test_fedora_and_arch_are_shown_their_packages(machine, manager, line):
    machine.command(manager)
    machine.lacks("c++")
    assert line in machine.set_up().output


def test_vulkan_s_packages_are_installed_before_it_is_compiled(machine):
    machine.has("root")
    machine.apt()
    outcome = machine.set_up(GPU="vulkan")
    assert "apt libvulkan1 mesa-vulkan-drivers" in outcome.did
    assert "apt libvulkan-dev glslc spirv-headers" in outcome.did


def test_without_qt_s_libraries_the_terminal_is_set_up_all_the_same(machine):
    (machine.folder / "libraries").write_text("libGL.so.1\n")
    machine.command("pacman")
    outcome = machine.set_up()
    assert outcome.code == 0
    assert "sudo pacman -S --needed libglvnd" in outcome.output
    assert "the terminal commands work" in outcome.output


def test_without_venv_its_package_is_named(machine):
    machine.apt()
    (machine.folder / "has" / "venv").unlink()
    assert "sudo apt install python3-venv" in machine.set_up().last_line


# What needs no second set-up -----------------------------------------------------------------------------------------


def test_nothing_is_done_twice(machine):
    assert machine.set_up("test").did
    assert machine.set_up("test").did == ()
    assert machine.set_up("run").did == ()


def test_a_changed_lock_is_installed_without_llama_cpp_again(machine):
    machine.set_up()
    with (machine.tree / "packaging/lock/run.txt").open("a") as file:
        file.write("another==1.0\n")
    assert machine.set_up().did == INSTALLED


# The language --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["mapfile", "readarray", "declare -A", "wait -n", "[@]}", ",,}", "^^}", "|&", "&>>"])
def test_the_scripts_use_no_word_that_bash_3_2_lacks(word):
    """macOS has bash 3.2, where an empty array, too, is an unset variable."""
    scripts = [Path("packaging/setup.sh"), *Path("packaging/setup").glob("*.sh")]
    root = Path(__file__).parents[2]
    assert not [script for script in scripts if word in (root / script).read_text()]
