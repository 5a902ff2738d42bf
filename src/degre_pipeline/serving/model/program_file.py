"""Refuses a stored program that could execute anything but tensor operations.

A `.pt2` may hold pickles, Python expressions for shapes and guards, and names that are looked up in torch.
`torch.export.load` trusts all of them. What `save_program` writes needs none but the plainest, so a list of
what is allowed is short, and everything else is refused before torch sees the file.
"""

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_ENTRY = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)"
)
MOST_JSON_BYTES = 16 * 2**20
"""Of the graph, which takes a million bytes for six slots, and of each list of weights."""
_NUMBER = r"Symbol\('s\d+', positive=True, integer=True\)|Integer\(-?\d+\)"
_EXPRESSION = re.compile(rf"({_NUMBER}|Mul\(|Add\(|Min\(|Max\(|, |\))+")
_OPERATION = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.mul")  # mul: of sizes
_WORD = re.compile(r"[\w.]*")
_ALLOWED: Mapping[str, Callable[[str], Any]] = {
    "expr_str": _EXPRESSION.fullmatch,
    "target": _OPERATION.fullmatch,
    "in_spec": lambda text: _plain_spec(json.loads(text)),
    "out_spec": lambda text: _plain_spec(json.loads(text)),
    "torch_version": re.compile(r"[\w.+]*").fullmatch,
    "as_float": re.compile(r"-?Infinity|NaN").fullmatch,
}


def check_program_file(path: Path) -> None:
    """Raises ValueError, naming the first part that is not allowed."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, path.stat().st_size)
            _check(archive)
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, RecursionError, AttributeError) as error:
        raise ValueError(f"{path.name} is no stored program: {error!r}") from error


def _check_sizes(archive: zipfile.ZipFile, file_bytes: int) -> None:
    """Raises ValueError if reading an entry could take more memory than the file takes on the disk."""
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"the program's entry {info.filename!r} is compressed; allowed: stored as it is")
        if info.filename.endswith(".json") and info.file_size > MOST_JSON_BYTES:
            raise ValueError(
                f"the program's entry {info.filename!r} has {info.file_size} bytes; "
                f"allowed: {MOST_JSON_BYTES}"
            )
    held = sum(info.file_size for info in archive.infolist())
    if held > file_bytes:
        raise ValueError(f"the program's entries have {held} bytes; allowed: those of the file, {file_bytes}")


def _check(archive: zipfile.ZipFile) -> None:
    entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    roots = {info.filename.partition("/")[0] for info in archive.infolist()}
    if len(entries) < len(archive.infolist()) or len(roots) != 1:
        raise ValueError("the program's archive has an entry twice; allowed: every entry once")
    for name, info in entries.items():
        if not _ENTRY.fullmatch(name) or (name.endswith(".pt") and info.file_size):
            raise ValueError(f"the program's archive holds {name!r}; allowed: a graph and plain tensors")
    for kind in ("weights", "constants"):
        content = json.loads(archive.read(entries[f"data/{kind}/model_{kind}_config.json"]))
        for name, payload in content["config"].items():
            if payload["use_pickle"] or f"data/{kind}/{payload['path_name']}" not in entries:
                raise ValueError(f"{kind} {name!r} of the program are pickled; allowed: plain tensors")
    graph = json.loads(archive.read(entries["models/model.json"]))
    if graph.get("guards_code"):
        raise ValueError(f"the program has guards in Python: {graph['guards_code'][0]!r}; allowed: none")
    for key, text in _texts(graph, ""):
        if not _ALLOWED.get(key, _WORD.fullmatch)(text):
            raise ValueError(f"the program's graph has {key} {text[:200]!r}; allowed: tensor operations")


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yields every text of a JSON value, and every key, with the key it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield "", name
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str):
        yield key, value


def _plain_spec(spec: Any) -> bool:
    """Returns whether a tree of arguments has only tuples, lists and dicts of plain keys."""
    texts = (text for key, text in _texts(spec, "") if key in ("type", "context"))
    return all(text in ("builtins.tuple", "builtins.list", "builtins.dict", "null", "[]") for text in texts)
