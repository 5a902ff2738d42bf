"""Which files of the gate belong together: a node that is run alone finds whatever lies in the catalog."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd


def named(registered: Mapping[str, Any]) -> dict[str, Any]:
    """Returns model, version and run of a registered version, as a decision names them."""
    return {
        "model": registered["name"],
        "registered": {"version": registered["version"], "run_id": registered["run_id"]},
    }


def belongings(
    registered: Mapping[str, Any], gate_slice: Mapping[str, Any], judgements: pd.DataFrame
) -> dict[str, Any]:
    """Returns the names and hashes that tell the facts of one gate from those of another."""
    rows = judgements.to_csv(index=False).encode()
    return {
        **named(registered),
        "slice_sha256": gate_slice["sha256"],
        "judgements_sha256": hashlib.sha256(rows).hexdigest(),
    }


def check_belongings(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the first thing that is another version's, slice's or judgement's."""
    for name, value in wanted.items():
        if found.get(name) != value:
            raise ValueError(
                f"{name} of the gate's files is {found.get(name)}; allowed: {value}, as of the registered "
                "version. Judge it: kedro run --pipeline=gate"
            )


def decision_sha256(decision: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a decision, which its report carries."""
    return hashlib.sha256(json.dumps(decision, sort_keys=True, default=str).encode()).hexdigest()


def check_report(report: str, decision: Mapping[str, Any]) -> None:
    """Raises ValueError if a report is not that of a decision."""
    wanted = decision_sha256(decision)
    if wanted not in report:
        raise ValueError(
            f"the gate's report is of another decision; allowed: one with {wanted[:12]}…. "
            "Write it again: kedro run --pipeline=gate"
        )
