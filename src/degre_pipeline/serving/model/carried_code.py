"""The part of this project that travels with a registered model, under a name of its own.

The name holds a hash of the code. So a model keeps the code it was registered with wherever it is loaded:
where this project is not installed, where another version is, or beside a model that carries other code.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from degre_pipeline import __version__

PROJECT = "degre_pipeline"
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "serving/model/mlflow_model.py"
_IMPORT = re.compile(rf"^(\s*(?:from|import)\s+){PROJECT}\b", re.MULTILINE)


def write_carried_code(folder: Path) -> tuple[Path, Path]:
    """Writes the model script, and a package of the modules that it needs.

    Args:
        folder: An existing folder.
    Returns: The script and the package's folder.
    """
    texts = {path: (ROOT / path).read_text("utf-8") for path in sorted(needed_files(SCRIPT))}
    joined = "\0".join(f"{path}\0{text}" for path, text in texts.items())
    name = f"degre_reranker_{hashlib.sha256(joined.encode()).hexdigest()[:12]}"
    package = folder / name
    for path, text in texts.items():
        target = folder / Path(path).name if path == SCRIPT else package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_IMPORT.sub(rf"\g<1>{name}", text), encoding="utf-8")
    origin = f'"""What this model needs of {PROJECT} {__version__}."""\n'
    (package / "__init__.py").write_text(origin, encoding="utf-8")
    return folder / Path(SCRIPT).name, package


def needed_files(start: str) -> set[str]:
    """Returns the files of this project that a file imports, directly or not, with itself and their packages.

    Args:
        start: Path below the project's package.
    """
    needed, waiting = {start}, [start]
    while waiting:
        tree = ast.parse((ROOT / waiting.pop()).read_text("utf-8"))
        found = {path for module in _imported(tree) for path in _files_of(module)} - needed
        needed |= found
        waiting += found
    return needed


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yields the names below the project that are imported; of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}", *(f"{node.module}.{name}" for name in names)]
        yield from (name.removeprefix(f"{PROJECT}.") for name in names if name.startswith(f"{PROJECT}."))


def _files_of(module: str) -> Iterator[str]:
    """Yields the module's file and the `__init__.py` of the packages above it, as far as they exist."""
    parts = module.split(".")
    packages = ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts) + 1)]
    yield from (path for path in [f"{'/'.join(parts)}.py", *packages] if (ROOT / path).is_file())
