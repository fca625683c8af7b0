"""Compiled kernels are run when they are read, so no other user may write where they lie."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from algos.backend.private_folder import make_private

ROOT = Path(__file__).parents[3]
PROGRAM = "from algos.backend import compiler; print(compiler.cache_folder())"


def cache_folder(**environment):
    """The folder that another process chooses, and what it says about it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


def linked(folder):
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def open_to_all(folder):
    folder.mkdir()
    folder.chmod(0o777)


def open_to_all_but_sticky(folder):
    folder.mkdir()
    folder.chmod(0o1777)


def open_to_the_group(folder):
    folder.mkdir()
    folder.chmod(0o770)


def a_file(folder):
    folder.write_text("")


def of_another_user(folder):
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)


PLANTED = [
    linked, open_to_all, open_to_all_but_sticky, open_to_the_group, a_file, of_another_user,
]  # fmt: skip


def test_a_new_folder_and_all_above_it_are_private(tmp_path):
    folder = tmp_path / "one" / "two"
    assert make_private(folder) is None
    for place in (folder, folder.parent):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    folder.chmod(0o755)
    assert make_private(folder) is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_folder_is_refused(plant, tmp_path):
    plant(tmp_path / "kernels")
    assert str(tmp_path / "kernels") in make_private(tmp_path / "kernels")
    assert make_private(tmp_path / "kernels", parents=False)


@pytest.mark.parametrize("plant", [open_to_all, open_to_the_group, a_file, of_another_user])
def test_a_folder_that_another_user_may_exchange_is_refused(plant, tmp_path):
    plant(tmp_path / "above")
    assert str(tmp_path / "above") in make_private(tmp_path / "above" / "kernels")


def test_links_above_are_followed_and_their_targets_checked(tmp_path):
    linked(tmp_path / "above")
    assert make_private(tmp_path / "above" / "kernels") is None
    (tmp_path / "elsewhere").chmod(0o777)
    assert str(tmp_path / "elsewhere") in make_private(tmp_path / "above" / "kernels")


@pytest.mark.parametrize(
    "plant",
    [a_file, of_another_user, *(pytest.param(p, marks=pytest.mark.slow) for p in PLANTED[:4])],
)
def test_kernels_never_go_where_code_may_have_been_planted(plant, tmp_path):
    name = Path(cache_folder(NUMBA_CACHE_DIR=str(tmp_path / "first"))[0]).name
    (tmp_path / "second").mkdir()
    plant(tmp_path / "second" / name)
    (tmp_path / "home").mkdir(mode=0o700)
    found, said = cache_folder(
        NUMBA_CACHE_DIR=str(tmp_path / "second"), XDG_CACHE_HOME=str(tmp_path / "home")
    )
    assert (found, said) == (str(tmp_path / "home" / "convbench" / name), "")
    (tmp_path / "home").chmod(0o777)
    found, said = cache_folder(
        NUMBA_CACHE_DIR=str(tmp_path / "second"), XDG_CACHE_HOME=str(tmp_path / "home")
    )
    assert found == "None"
    assert str(tmp_path / "second") in said
    assert str(tmp_path / "home") in said
    assert len(said.splitlines()) == 1


def test_without_a_cache_kernels_are_compiled_all_the_same(tmp_path):
    open_to_all(tmp_path / "shared")
    program = (
        "from algos.backend.compiler import kernel\n"
        "@kernel\n"
        "def double(x): return x + x\n"
        "print(double(2), double.stats.cache_path)"
    )
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "shared"), "PYTHONPATH": str(ROOT),
             "XDG_CACHE_HOME": str(tmp_path / "shared")},
    )  # fmt: skip
    assert done.stdout.strip() == "4 None", done.stderr
