"""Both versions rank the same raw requests, each in its own feature space, and are timed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd

from degre_pipeline.promotion.aliases import opponent_of
from degre_pipeline.promotion.contenders import Contender, load_contender, median_latencies_ms
from degre_pipeline.reranker.gate.evidence import VersionFacts
from degre_pipeline.serving.example_requests import example_requests
from degre_pipeline.serving.request_schema import Request

MOST_TOLD = 500
"""Characters of an error that are told: it becomes part of tags, which MLflow limits."""

Lists = Sequence[Sequence[int]]
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Performance:
    """What a version made of the slice.

    Attributes:
        facts: What is known of the version.
        lists: Candidate indices of every request's list; none where there was a problem.
        invalid: Rows of the lists that are no order of candidates.
        requests: As this version takes them.
        contender: The loaded version; None where it could not be loaded.
    """

    facts: VersionFacts
    lists: Lists = ()
    invalid: frozenset[int] = frozenset()
    requests: Sequence[Request] = ()
    contender: Contender | None = None


def hold_contest(
    registered: Mapping[str, Any], chosen: pd.DataFrame, tables: Tables, *, list_length: int, timed: int
) -> tuple[Performance, Performance | None]:
    """Lets a registered version and the champion, if there is one, rank the slice.

    Args:
        registered: name and version of the challenger.
        chosen: Lists of the slice.
        tables: requests, users, items and candidates by name.
        list_length: Slots that the challenger must fill.
        timed: Requests that are timed for each of the two.
    """
    name, version = registered["name"], registered["version"]
    opponent = opponent_of(mlflow.MlflowClient(), name, version)
    with TemporaryDirectory() as folder:
        challenger = perform(
            name, version, chosen, tables, folder=Path(folder, "challenger"), list_length=list_length
        )
        if opponent is None:
            return _timed([challenger], timed)[0], None
        try:
            champion = perform(name, opponent, chosen, tables, folder=Path(folder, "champion"))
        except Exception as error:  # a model of another time fails in its own ways; a person has to look
            problem = f"it could not rank the slice: {type(error).__name__}: {error}"[:MOST_TOLD]
            return _timed([challenger], timed)[0], Performance(_facts(name, opponent, problem=problem))
        one, other = _timed([challenger, champion], timed)
        return one, other


def perform(
    name: str,
    version: int,
    chosen: pd.DataFrame,
    tables: Tables,
    *,
    folder: Path,
    list_length: int | None = None,
) -> Performance:
    """Loads a version and lets it rank the slice.

    Args:
        name: Of the registered model.
        version: Of the model.
        chosen: Lists of the slice.
        tables: requests, users, items and candidates by name.
        folder: Where its files are put; they must stay while it is used.
        list_length: Slots that it must fill; None allows any number of them.
    """
    contender = load_contender(name, version, folder)
    requests = example_requests(chosen, tables, contender.space)
    lists = contender.ranked(requests)
    invalid = invalid_rows(lists, [len(request.candidates) for request in requests], list_length)
    problem = f"{len(invalid)} of its {len(lists)} lists are no order of candidates" if invalid else ""
    facts = _facts(name, version, len(invalid), contender.size_bytes, problem)
    return Performance(facts, lists, invalid, requests, contender)


def invalid_rows(lists: Lists, candidates: Sequence[int], list_length: int | None) -> frozenset[int]:
    """Returns the rows of lists that are no order of candidates.

    Args:
        lists: Candidate indices.
        candidates: How many candidates each request has.
        list_length: Slots that a list must fill as far as there are candidates; None allows any number.
    """
    return frozenset(
        row
        for row, (own, count) in enumerate(zip(lists, candidates, strict=True))
        if not _is_valid(own, count, list_length)
    )


def _is_valid(own: Sequence[int], candidates: int, list_length: int | None) -> bool:
    in_order = 0 < len(own) == len(set(own)) and all(0 <= index < candidates for index in own)
    return in_order and (list_length is None or len(own) == min(list_length, candidates))


def _timed(performances: Sequence[Performance], timed: int) -> list[Performance]:
    """Returns the same with latencies, for which they take turns."""
    turns = [(one.contender, one.requests[:timed]) for one in performances if one.contender is not None]
    return [
        replace(one, facts=replace(one.facts, latency_ms=latency))
        for one, latency in zip(performances, median_latencies_ms(turns), strict=True)
    ]


def _facts(name: str, version: int, invalid: int = 0, size_bytes: int = 0, problem: str = "") -> VersionFacts:
    tags = mlflow.MlflowClient().get_model_version(name, str(version)).tags
    return VersionFacts(
        version=version,
        training_first_day=tags.get("training_first_day"),
        training_last_day=tags.get("training_last_day"),
        invalid_lists=invalid,
        latency_ms=0.0,
        size_bytes=size_bytes,
        problem=problem,
    )
