"""Which tests `make check` takes for which changed file."""

import subprocess
from pathlib import Path

import pytest

import touched_tests
from touched_tests import ALWAYS, changed_files, matching_tests, touched, uncovered

TREE = {
    "src/degre_pipeline/cli.py": "",
    "src/degre_pipeline/room/__init__.py": "",
    "src/degre_pipeline/room/mirrored.py": "",
    "src/degre_pipeline/room/mirrored.html.j2": "",
    "src/degre_pipeline/room/named.py": "",
    "src/degre_pipeline/room/style.css": "",
    "src/degre_pipeline/untested/far.py": "",
    "src/degre_pipeline/untested/near.py": "from degre_pipeline.untested.far import Anything",
    "src/degre_pipeline/untested/alone.py": "",
    "src/degre_pipeline/pipelines/mining/pipeline.py": "",
    "src/degre_pipeline/pipelines/mining/nodes.py": "from degre_pipeline.untested.near import Anything",
    "tests/conftest.py": "",
    "tests/test_configuration.py": "",
    "tests/test_commands.py": "import degre_pipeline.cli",
    "tests/room/conftest.py": "",
    "tests/room/test_mirrored.py": "from degre_pipeline.room.mirrored import Anything",
    "tests/room/test_others.py": "    from degre_pipeline.room.named import Anything",
    "src/degre_pipeline/pipelines/gate/nodes.py": "",
    "tests/pipelines/gate/conftest.py": "from degre_pipeline.pipelines.gate.nodes import decide",
    "tests/pipelines/gate/test_gate_nodes.py": "from degre_pipeline.pipelines.gate.nodes import decide",
    "tests/pipelines/mining/test_mining_nodes.py": "from degre_pipeline.pipelines.mining.nodes import mine",
    "tests/notebooks/test_notebooks.py": "",
}
"""A small project: file -> text."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("src/degre_pipeline/room/mirrored.py", ["tests/room/test_mirrored.py"]),
        ("src/degre_pipeline/room/mirrored.html.j2", ["tests/room/test_mirrored.py"]),
        ("src/degre_pipeline/room/named.py", ["tests/room/test_others.py"]),
        ("src/degre_pipeline/room/style.css", ["tests/room"]),
        ("src/degre_pipeline/room/__init__.py", ["tests/room"]),
        ("src/degre_pipeline/cli.py", ["tests/test_commands.py"]),
        ("src/degre_pipeline/pipelines/mining/pipeline.py", ["tests/pipelines/mining"]),
        ("src/degre_pipeline/pipelines/gate/nodes.py", ["tests/pipelines/gate"]),
        ("src/degre_pipeline/untested/far.py", ["tests/pipelines/mining/test_mining_nodes.py"]),
        ("tests/room/test_others.py", ["tests/room/test_others.py"]),
        ("tests/room/conftest.py", ["tests/room"]),
        ("notebooks/01_first_look.ipynb", ["tests/notebooks"]),
        ("conf/ml1m/parameters_mining.yml", ["tests/pipelines/mining", "tests/test_configuration.py"]),
        ("conf/base/catalog.yml", ["tests/test_configuration.py"]),
        ("tests/room/test_that_is_gone.py", []),
        ("tests/conftest.py", []),
        ("Makefile", []),
    ],
)
def test_a_changed_file_leads_to_its_tests(project: Path, changed: str, expected: list[str]) -> None:
    assert [str(path) for path in matching_tests(Path(changed), project)] == expected


def test_every_test_is_taken_once_after_what_is_always_checked(project: Path) -> None:
    changed = [
        "src/degre_pipeline/room/style.css",
        "src/degre_pipeline/room/mirrored.py",
        "tests/test_graph.py",
    ]
    (project / "tests/test_graph.py").touch()
    assert touched(map(Path, changed), project) == [*ALWAYS, "tests/room"]


def test_code_without_a_test_is_named(project: Path) -> None:
    changed = [
        "tests/conftest.py",
        "README.md",
        "src/degre_pipeline/gone.py",
        *(name for name in TREE if name.startswith("src")),
    ]
    lonely = ["tests/conftest.py", "src/degre_pipeline/untested/alone.py"]
    assert uncovered(map(Path, changed), project) == lonely


def test_what_is_always_checked_exists() -> None:
    assert all((touched_tests.PROJECT / name.split("::")[0]).is_file() for name in ALWAYS)
    contracts = touched_tests.PROJECT / "tests/test_architecture.py"
    assert "def test_contracts_hold(" in contracts.read_text("utf-8")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A branch with a commit of its own, an edit and a new file; the base has gone on since."""
    monkeypatch.setattr(touched_tests, "PROJECT", tmp_path)
    git(tmp_path, "init", "--initial-branch=main")
    commit(tmp_path, "first.py")
    commit(tmp_path, "second.py")
    git(tmp_path, "checkout", "-b", "change")
    commit(tmp_path, "committed.py")
    git(tmp_path, "checkout", "main")
    commit(tmp_path, "others.py")
    git(tmp_path, "checkout", "change")
    git(tmp_path, "mv", "second.py", "moved.py")
    (tmp_path / "first.py").write_text("edited = 1\n", "utf-8")
    (tmp_path / "new.py").touch()
    return tmp_path


def git(folder: Path, *words: str) -> None:
    own = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *own, *words], cwd=folder, capture_output=True, check=True)


def commit(folder: Path, name: str) -> None:
    (folder / name).write_text(f"{name!r}\n", "utf-8")
    git(folder, "add", name)
    git(folder, "commit", "-m", name)


def test_a_change_is_what_this_branch_did_and_what_lies_in_the_tree(clone: Path) -> None:
    names = ["committed.py", "first.py", "moved.py", "new.py", "second.py"]
    assert [str(path) for path in changed_files("main")] == names


def test_a_base_that_is_no_commit_is_refused(clone: Path) -> None:
    with pytest.raises(SystemExit, match="BASE is 'nowhere'; allowed: a branch or commit"):
        changed_files("nowhere")
