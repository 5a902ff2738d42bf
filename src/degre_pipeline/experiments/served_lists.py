"""Lists for a day's requests by the champion that serves, and by the first champion as if it had stayed."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.simulation.click_world import IntArray
from degre_pipeline.sources.request_log import RequestLog

CHAMPION, FROZEN = "champion", "frozen"


@dataclass(frozen=True)
class Served:
    """Lists of a registered version for a day's requests.

    Attributes:
        version: Number of the version.
        lists: Candidate indices, int64 [r, t].
    """

    version: int
    lists: IntArray


def lists_of_champions(model_name: str, day: str, tables: RequestLog) -> dict[str, Served]:
    """Returns what the champion of the day and the first champion show; nothing where no version serves yet.

    Args:
        model_name: Name of the registered model.
        day: ISO date; the champion is the last one whose run date is before it.
        tables: Of the day.
    """
    # Imported here because MLflow takes seconds, and every `kedro` command imports the pipelines.
    from degre_pipeline.release.served_before import champions_before, first_champion_before

    champions, first = champions_before(model_name, day), first_champion_before(model_name, day)
    if not champions or first is None:
        return {}
    wanted = {CHAMPION: int(champions[0].version), FROZEN: int(first.version)}
    lists = {version: _ranked(model_name, version, tables) for version in set(wanted.values())}
    return {name: Served(version, lists[version]) for name, version in wanted.items()}


def _ranked(model_name: str, version: int, tables: RequestLog) -> IntArray:
    from degre_pipeline.release.loaded_version import load_contender
    from degre_pipeline.serving.model.example_requests import example_requests

    with TemporaryDirectory() as folder:
        contender = load_contender(model_name, version, Path(folder))
        ranked = contender.ranked(example_requests(tables.requests, tables.feature_tables(), contender.space))
    lengths = {len(indices) for indices in ranked}
    require(len(lengths) == 1, "lengths of the lists", sorted(lengths), f"one, from version {version}")
    return np.array(ranked, dtype=np.int64)
