"""Work trees of revisions in a temporary folder, removed even after an error."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from algos.core.errors import ConvbenchError

#: Variables by which a hook tells git of another repository.
_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@dataclass(frozen=True)
class Revision:
    """A revision: the name it was given by, its commit, and the folder it is checked out in."""

    name: str
    commit: str
    subject: str
    tree: Path
    #: Folder for its compiled kernels.
    kernels: Path

    def __str__(self) -> str:
        return f"{self.name} ({self.commit[:12]})"


@contextmanager
def checked_out(repository: Path, names: Sequence[str]) -> Iterator[list[Revision]]:
    """Check out each of `names` in a folder of its own, and remove them all at the end.

    Raises
    ------
    ConvbenchError
        If `repository` lies in no git repository, or a name stands for no revision of convbench.
    """
    top = Path(_git(repository, "rev-parse", "--show-toplevel").strip())
    commits = [_commit(top, name) for name in names]
    with tempfile.TemporaryDirectory(prefix="convbench-revisions-") as scratch:
        revisions = []
        try:
            for number, (name, commit) in enumerate(zip(names, commits, strict=True)):
                tree = Path(scratch) / f"tree-{number}"
                _git(top, "worktree", "add", "--quiet", "--detach", str(tree), commit)
                if not (tree / "algos" / "__init__.py").is_file():
                    raise ConvbenchError(
                        f"revision {name} of {top} has no folder algos/ with our algorithms; "
                        f"give revisions of a clone of convbench, or another --repository"
                    )
                subject = _git(top, "log", "-1", "--format=%s", commit).strip()
                kernels = Path(scratch) / f"kernels-{number}"
                revisions.append(Revision(name, commit, subject, tree, kernels))
            yield revisions
        finally:
            for number in range(len(names)):
                _remove(top, Path(scratch) / f"tree-{number}")


def _remove(top: Path, tree: Path) -> None:
    """Remove a work tree, and what the repository remembers of it."""
    if not tree.exists():
        return
    with suppress(ConvbenchError):
        _git(top, "worktree", "remove", "--force", str(tree))
    if tree.exists():
        shutil.rmtree(tree, ignore_errors=True)
        with suppress(ConvbenchError):
            _git(top, "worktree", "prune")


def _commit(top: Path, name: str) -> str:
    """Return the commit that `name` stands for."""
    try:
        asked = f"{name}^{{commit}}"
        return _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", asked).strip()
    except ConvbenchError:
        raise ConvbenchError(
            f"there is no revision {name!r} in {top}; `git log --oneline` and `git branch --all` "
            f"show them. A shallow clone lacks old ones: `git fetch --unshallow`"
        ) from None


def _git(where: Path, *words: str) -> str:
    """Return what git prints; hooks are not run."""
    kept = {name: text for name, text in os.environ.items() if name not in _OTHER_REPOSITORY}
    command = ["git", "-C", str(where), "-c", f"core.hooksPath={os.devnull}", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=kept)
    except FileNotFoundError:
        raise ConvbenchError("git was not found; --rev needs it to be installed") from None
    if done.returncode:
        last = done.stderr.strip().split("\n")[-1] or f"exit code {done.returncode}"
        raise ConvbenchError(f"git {words[0]} in {where} said: {last}; give --repository DIR")
    return done.stdout
