import ast
import shutil
import sys

import pytest

from degre_pipeline.serving.model import carried_code
from degre_pipeline.serving.model.carried_code import ROOT, SCRIPT, needed_files, write_carried_code
from degre_pipeline.serving.model.packaging import NEEDED


def imported_roots(folder):
    """Top-level packages that the files of a folder import."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).split(".")[0]


def test_carries_what_serving_needs_and_nothing_else():
    needed = needed_files(SCRIPT)
    assert {
        "reranker/models/generator.py",
        "reranker/features.py",
        "serving/model/reranking_model.py",
    } <= needed
    assert {"reranker/__init__.py", "reranker/models/__init__.py", "serving/model/__init__.py"} <= needed
    assert needed.isdisjoint(
        {
            "reranker/training/loop.py",
            "reranker/metrics.py",
            "serving/model/packaging.py",
            "hooks/__init__.py",
        }
    )


def test_carried_files_import_only_each_other_and_the_pinned_packages(tmp_path):
    _, package = write_carried_code(tmp_path)
    roots = set(imported_roots(tmp_path)) - sys.stdlib_module_names
    assert roots == {package.name, *NEEDED}


def test_name_stays_with_the_code_and_changes_with_it(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    first, second = (write_carried_code(folder)[1].name for folder in folders[:2])
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "reranker" / "features.py").write_text((ROOT / "reranker" / "features.py").read_text() + "\n")
    monkeypatch.setattr(carried_code, "ROOT", source)
    assert first == second
    assert first != write_carried_code(folders[2])[1].name


@pytest.mark.parametrize(
    ("line", "rewritten"),
    [
        ("from degre_pipeline.reranker import schema", "from other.reranker import schema"),
        (
            "    from degre_pipeline.reranker.schema import Field",
            "    from other.reranker.schema import Field",
        ),
        ("import degre_pipeline.reranker.schema as schema", "import other.reranker.schema as schema"),
        ("from degre_pipeline_extras import more", "from degre_pipeline_extras import more"),
        ('"""Not from degre_pipeline."""', '"""Not from degre_pipeline."""'),
    ],
)
def test_only_imports_of_the_project_are_rewritten(line, rewritten):
    assert carried_code._IMPORT.sub(r"\g<1>other", line) == rewritten
