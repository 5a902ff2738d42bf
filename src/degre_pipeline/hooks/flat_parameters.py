"""Nested and typed parameters as flat names and texts that MLflow takes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH

CUT_MARK = " ... (cut)"


def flatten(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return every leaf as text, under its dotted name; dataclasses are taken apart like mappings.

    Lists and tuples are leaves; an empty mapping is the leaf "{}".
    """
    return {name: str(value) for name, value in _leaves("", parameters)}


def loggable(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters within MLflow's limits: long values are cut and marked, names made legal."""
    return {loggable_name(name): _cut(value) for name, value in parameters.items()}


def loggable_name(name: str) -> str:
    """Return the name with what MLflow refuses replaced: "ndcg@10" becomes "ndcg_at_10"."""
    return re.sub(r"[^/\w.\- ]", "_", name.replace("@", "_at_"))[:MAX_ENTITY_KEY_LENGTH]


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    children = _children(value)
    if not children:
        yield prefix, value
        return
    for name, child in children.items():
        yield from _leaves(f"{prefix}.{name}" if prefix else str(name), child)


def _children(value: Any) -> Mapping[Any, Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value if isinstance(value, Mapping) else {}


def _cut(value: str) -> str:
    if len(value) <= MAX_PARAM_VAL_LENGTH:
        return value
    return value[: MAX_PARAM_VAL_LENGTH - len(CUT_MARK)] + CUT_MARK
