"""Prints the tests that a change touches, for `make check`: python tests/touched_tests.py [BASE].

The change is whatever differs from the commit where this branch left BASE, the working tree and new files
included. Tests mirror the code: `src/degre_pipeline/ROOM/NAME.py` has its tests in `tests/ROOM/test_NAME.py`.
A file without such a mirror has the tests in that folder that import it, or the whole folder where none does
or the conftest does, else the tests of the modules that import it. Code that leads to no test is named on
stderr: `make test` covers it.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = Path("src/degre_pipeline")
MIRRORS = {
    PACKAGE: Path("tests"),
    Path("benchmarks"): Path("tests/benchmarks"),
    Path("dags"): Path("tests/dags"),
    Path("notebooks"): Path("tests/notebooks"),
    Path("tests"): Path("tests"),
}
"""Folders of code, and the folders of their tests."""

ALWAYS = (
    "tests/test_architecture.py::test_contracts_hold",
    "tests/docs/test_reference_pages.py",
    "tests/test_graph.py",
)
"""What nearly every change can break and seconds can tell: imports, pages of reference, the graph."""


def changed_files(base: str) -> list[Path]:
    """Returns what differs from the last commit that HEAD shares with `base`, relative to the project."""
    shared = _git("merge-base", base, "HEAD")
    if not shared:
        raise SystemExit(
            f"BASE is {base!r}; allowed: a branch or commit of this clone, as in make check BASE=HEAD"
        )
    edited = _git("diff", "--name-only", "--no-renames", shared[0])
    return [Path(name) for name in sorted({*edited, *_git("ls-files", "--others", "--exclude-standard")})]


def matching_tests(path: Path, project: Path = PROJECT) -> list[Path]:
    """Returns test files and folders, relative to the project, that belong to a changed file; maybe none."""
    if path.parts[0] == "conf":
        pipeline = Path("tests/pipelines") / path.stem.removeprefix("parameters_")
        return [
            found for found in (pipeline, Path("tests/test_configuration.py")) if (project / found).exists()
        ]
    if path.name.startswith("test_") and path.parts[0] == "tests":
        return [path] if (project / path).exists() else []
    return _mirrored(path, project, frozenset({path}))


def touched(paths: Iterable[Path], project: Path = PROJECT) -> list[str]:
    """Returns the arguments for pytest: what is always checked, then the tests of all changed files."""
    found = {test for path in paths for test in matching_tests(path, project)}
    alone = sorted(str(test) for test in found if found.isdisjoint(test.parents))
    return [*ALWAYS, *(name for name in alone if name not in ALWAYS)]


def uncovered(paths: Iterable[Path], project: Path = PROJECT) -> list[str]:
    """Returns the changed files of code that no rule leads to a test, without those that are gone."""
    code = (path for path in paths if path.suffix == ".py" and (project / path).exists())
    return [str(path) for path in code if not matching_tests(path, project)]


def _mirrored(path: Path, project: Path, seen: frozenset[Path]) -> list[Path]:
    root = next((root for root in MIRRORS if root in path.parents), None)
    if root is None:
        return []
    folder = MIRRORS[root] / path.parent.relative_to(root)
    mirror = folder / f"test_{path.name.split('.')[0]}.py"
    if (project / mirror).exists():
        return [mirror]
    named = [test.relative_to(project) for test in (project / folder).glob("test_*.py") if _names(test, path)]
    whole = folder != Path("tests") and (project / folder).is_dir()  # tests/ itself holds whole runs
    if named and not (whole and _names(project / folder / "conftest.py", path)):
        return sorted(named)
    if whole:
        return [folder]
    return _tests_of_importers(path, project, seen)


def _tests_of_importers(path: Path, project: Path, seen: frozenset[Path]) -> list[Path]:
    package = (file.relative_to(project) for file in sorted((project / PACKAGE).rglob("*.py")))
    importers = [file for file in package if file not in seen and _names(project / file, path)]
    return [test for file in importers for test in _mirrored(file, project, seen.union(importers))]


def _names(file: Path, path: Path) -> bool:
    """Says whether a file imports a module of the package."""
    if PACKAGE not in path.parents or path.stem == "__init__" or not file.exists():
        return False
    module = ".".join(path.relative_to("src").with_suffix("").parts)
    return (
        re.search(rf"^\s*(from|import) {re.escape(module)}\b(?!\.)", file.read_text("utf-8"), re.M)
        is not None
    )


def _git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


if __name__ == "__main__":
    changed = changed_files(*sys.argv[1:] or ["origin/main"])
    print(*touched(changed), sep="\n")
    for left in uncovered(changed):
        print(f"{left}: no test mirrors it; make test covers it", file=sys.stderr)
