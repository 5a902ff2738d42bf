"""Versions rank the same raw requests, each in its own feature space, and are timed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.release.gate.evidence import VersionFacts
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.release.loaded_version import Contender, load_contender, median_latencies_ms
from degre_pipeline.release.reservations import reservations
from degre_pipeline.release.served_before import best_champion_before, opponent_of
from degre_pipeline.release.versions import judged_twin, origin_of, version_or_none
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.serving.model.example_requests import example_requests
from degre_pipeline.serving.model.parity import SHAPES, differing_shapes
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.sources.feature_tables import FeatureTables

MOST_TOLD = 500
"""Characters of an error that are kept: it becomes part of tags, which MLflow limits."""

Lists = Sequence[Sequence[int]]


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


class Contest(NamedTuple):
    """What the new version, the champion and the best recent champion made of the slice.

    None where there is no such version. `reservations` says why a person has to decide.
    """

    challenger: Performance
    champion: Performance | None
    reference: Performance | None
    reservations: Sequence[str]

    @property
    def performances(self) -> dict[str, Performance | None]:
        """The versions by name."""
        return {"challenger": self.challenger, "champion": self.champion, "reference": self.reference}

    def differing_shapes(self, requests: Requests, generator: TrainedWeights) -> int:
        """Returns for how many shapes the challenger's program gives other lists than a generator does."""
        contender = self.challenger.contender
        if contender is None:
            return len(SHAPES)
        if [size.as_dict() for size in contender.space.sizes()] != generator.config["sizes"]:
            return len(SHAPES)
        most = contender.served.example.most_candidates
        return len(differing_shapes(contender.runner, requests, generator, most))


def hold_contest(
    registered: Mapping[str, Any],
    chosen: pd.DataFrame,
    tables: FeatureTables,
    *,
    list_length: int,
    config: GateConfig,
) -> Contest:
    """Lets a registered version and its opponents rank the slice.

    Args:
        registered: name, version and run_id of the challenger.
        chosen: Lists of the slice.
        tables: Raw values of their requests.
        list_length: Slots that the challenger must fill.
        config: `latency_requests` and `reference_days`.
    Raises: ValueError: If the version of that number is of another run by now.
    """
    client, name = mlflow.MlflowClient(), registered["name"]
    version = client.get_model_version(name, str(registered["version"]))
    if version.run_id != registered["run_id"]:
        raise ValueError(
            f"version {version.version} of {name} is of run {version.run_id}; allowed: "
            f"{registered['run_id']}, as registered. Register it again: kedro run --pipeline=registration"
        )
    opponent = version_or_none(client, name, opponent_of(client, name, int(version.version)))
    best = best_champion_before(client, version, config.reference_days)
    reasons = reservations(client, version, opponent)
    with TemporaryDirectory() as folder:
        challenger = perform(version, chosen, tables, Path(folder, "challenger"), list_length)
        if opponent is None:
            return Contest(_timed([challenger], config.latency_requests)[0], None, None, reasons)
        champion = represented(opponent, chosen, tables, Path(folder, "champion"))
        reference = None
        if best is not None and best.version != opponent.version:
            place = Path(folder, "reference")
            reference = represented(best, chosen, tables, place, challenger.lists)
        timed = _timed([challenger, *([] if champion.facts.problem else [champion])], config.latency_requests)
        return Contest(timed[0], timed[-1] if len(timed) > 1 else champion, reference, reasons)


def represented(
    version: ModelVersion,
    chosen: pd.DataFrame,
    tables: FeatureTables,
    folder: Path,
    like: Lists | None = None,
) -> Performance:
    """Returns the performance of a version, or that of its twin where it was trained on the whole log.

    The challenger has left requests out. To be fair, so must what it is compared with.

    Args: As of `attempt`.
    """
    twin = judged_twin(mlflow.MlflowClient(), version)
    done = attempt(twin, chosen, tables, folder, like)
    return replace(done, facts=replace(done.facts, version=int(version.version), origin=origin_of(version)))


def attempt(
    version: ModelVersion,
    chosen: pd.DataFrame,
    tables: FeatureTables,
    folder: Path,
    like: Lists | None = None,
) -> Performance:
    """Returns what `perform` returns, or why the version could not.

    Args:
        version: Of the model.
        chosen: Lists of the slice.
        tables: Raw values of their requests.
        folder: Where its files are put.
        like: Lists whose lengths the version's lists must have; None allows any.
    """
    try:
        done = perform(version, chosen, tables, folder)
    except Exception as error:  # a model of another time fails in its own ways; a person has to look
        problem = f"it could not rank the slice: {type(error).__name__}: {error}"[:MOST_TOLD]
        return Performance(_facts(version, problem=problem))
    if like is None or list(map(len, done.lists)) == list(map(len, like)):
        return done
    return Performance(_facts(version, problem="its lists are of another length"))


def perform(
    version: ModelVersion,
    chosen: pd.DataFrame,
    tables: FeatureTables,
    folder: Path,
    list_length: int | None = None,
) -> Performance:
    """Loads a version and lets it rank the slice.

    Args:
        version: Of the model.
        chosen: Lists of the slice.
        tables: Raw values of their requests.
        folder: Where its files are put.
        list_length: Slots that it must fill; None allows any number of them.
    """
    contender = load_contender(version.name, int(version.version), folder)
    requests = example_requests(chosen, tables, contender.space)
    lists = contender.ranked(requests)
    invalid = invalid_rows(lists, [len(request.candidates) for request in requests], list_length)
    problem = f"{len(invalid)} of its {len(lists)} lists are no order of candidates" if invalid else ""
    facts = _facts(version, len(invalid), contender.size_bytes, problem)
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
        for row, (indices, count) in enumerate(zip(lists, candidates, strict=True))
        if not _is_valid(indices, count, list_length)
    )


def _is_valid(indices: Sequence[int], candidates: int, list_length: int | None) -> bool:
    in_order = 0 < len(indices) == len(set(indices)) and all(0 <= index < candidates for index in indices)
    return in_order and (list_length is None or len(indices) == min(list_length, candidates))


def _timed(performances: Sequence[Performance], timed: int) -> list[Performance]:
    """Returns the performances with latencies, measured in turns."""
    turns = [(one.contender, one.requests[:timed]) for one in performances if one.contender is not None]
    return [
        replace(one, facts=replace(one.facts, latency_ms=latency))
        for one, latency in zip(performances, median_latencies_ms(turns), strict=True)
    ]


def _facts(version: ModelVersion, invalid: int = 0, size_bytes: int = 0, problem: str = "") -> VersionFacts:
    return VersionFacts(
        version=int(version.version),
        origin=origin_of(version),
        training_first_day=version.tags.get("training_first_day"),
        training_last_day=version.tags.get("training_last_day"),
        invalid_lists=invalid,
        latency_ms=0.0,
        size_bytes=size_bytes,
        problem=problem,
    )
