"""Work trees of revisions, in a small repository made for the purpose."""

import subprocess

import pytest

from algos.core.errors import ConvbenchError
from suites.revisions.trees import checked_out


def git(folder, *words):
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *named, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path):
    """Make a repository of three commits; the first has no algorithms."""
    here = tmp_path / "repository"
    (here / "algos").mkdir(parents=True)
    git(here, "init", "--quiet")
    (here / "README").write_text("nothing")
    git(here, "add", "README")
    git(here, "commit", "--quiet", "-m", "Say nothing")
    for number in (1, 2):
        (here / "algos" / "__init__.py").write_text(f"NUMBER = {number}\n")
        git(here, "add", "algos")
        git(here, "commit", "--quiet", "-m", f"Make it {number}")
    return here


def refused(folder, names, complaint):
    with pytest.raises(ConvbenchError, match=complaint), checked_out(folder, names):
        pass


def test_each_revision_has_its_own_tree(repository):
    with checked_out(repository / "algos", ["HEAD~1", "HEAD"]) as revisions:
        texts = [(one.tree / "algos" / "__init__.py").read_text() for one in revisions]
        assert texts == ["NUMBER = 1\n", "NUMBER = 2\n"]
        assert [one.subject for one in revisions] == ["Make it 1", "Make it 2"]
        assert str(revisions[1]) == f"HEAD ({revisions[1].commit[:12]})"
        assert revisions[0].kernels != revisions[1].kernels
        assert git(repository, "worktree", "list").count("\n") == 3
    assert git(repository, "worktree", "list").count("\n") == 1
    assert not revisions[0].tree.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_trees_are_removed_after_an_interruption(repository, error):
    with pytest.raises(error), checked_out(repository, ["HEAD", "HEAD"]) as revisions:
        (revisions[0].tree / "algos" / "__init__.py").write_text("changed")
        raise error
    assert git(repository, "worktree", "list").count("\n") == 1
    assert not revisions[0].tree.exists()


def test_hooks_are_not_run(repository):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with checked_out(repository, ["HEAD"]) as (revision,):
        assert revision.tree.is_dir()


def test_the_repository_of_a_hook_is_not_meant(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    with checked_out(repository, ["HEAD"]) as (revision,):
        assert revision.subject == "Make it 2"


@pytest.mark.parametrize("name", ["nonesuch", "--help", "", "HEAD:README"])
def test_an_unknown_revision_is_named(repository, name):
    refused(repository, [name], r"there is no revision .*git log --oneline")


def test_a_revision_without_algorithms_is_refused(repository):
    refused(repository, ["HEAD", "HEAD~2"], "has no folder algos/")
    assert git(repository, "worktree", "list").count("\n") == 1


def test_outside_of_a_repository_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    refused(tmp_path, ["HEAD"], "give --repository DIR")


def test_without_git_there_is_a_sentence(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    refused(repository, ["HEAD"], "git was not found")
