"""Writes the answers as Parquet files by day, to be joined to what users did."""

import datetime
import logging
import os
import queue
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from degre_pipeline.serving.model.reranking_model import RankedList
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.threads import Repeating

logger = logging.getLogger(__name__)

MOST_WAITING = 50_000
SCHEMA = pa.schema(
    {
        "answered_at": pa.timestamp("us", tz="UTC"),
        "request_id": pa.string(),
        "model_version": pa.string(),
        "role": pa.string(),
        "fallback": pa.string(),
        "item_ids": pa.list_(pa.string()),
        "candidate_indices": pa.list_(pa.int32()),
        "probabilities": pa.list_(pa.float32()),
    }
)
"""`role` is champion or shadow; `fallback` is null for a list of the model's; ids are texts."""


class PredictionLog:
    """Collects rows and writes them every few seconds to `date=YYYY-MM-DD/NAME.parquet`.

    A file is written beside its place and moved there, so a reader never meets half of one. Rows beyond what
    may wait are dropped and counted.

    Args:
        folder: Where the days lie.
        seconds: How often to write.
        measures: Where dropped rows are counted.
    """

    def __init__(self, folder: Path, seconds: float, measures: Measures) -> None:
        self._folder, self._seconds, self._measures = folder, seconds, measures
        self._rows: queue.Queue[dict[str, Any]] = queue.Queue(MOST_WAITING)
        self._stopped = threading.Event()
        self._thread = Repeating("prediction-log", self._step, measures)

    def start(self) -> None:
        """Begins to write."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Writes what waits and stops."""
        self._stopped.set()
        self._thread.join(10)

    def add(
        self,
        ranked: Sequence[RankedList],
        *,
        version: str | None,
        role: str = "champion",
        fallback: str | None = None,
    ) -> None:
        """Takes lists that were just made."""
        now = datetime.datetime.now(datetime.UTC)
        for one in ranked:
            row = {
                "answered_at": now,
                "request_id": None if one.request_id is None else str(one.request_id),
                "model_version": version,
                "role": role,
                "fallback": fallback,
                "item_ids": [str(item_id) for item_id in one.item_ids],
                "candidate_indices": one.candidate_indices,
                "probabilities": one.probabilities,
            }
            try:
                self._rows.put_nowait(row)
            except queue.Full:
                self._measures.dropped.labels("log").inc()

    @property
    def threads(self) -> Sequence[Repeating]:
        """The thread that must go on."""
        return [self._thread]

    def _step(self) -> bool:
        has_stopped = self._stopped.wait(self._seconds)
        self._write(list(self._waiting()))
        return not has_stopped

    def _waiting(self) -> Iterator[dict[str, Any]]:
        while True:
            try:
                yield self._rows.get_nowait()
            except queue.Empty:
                return

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for day, group in groupby(rows, lambda row: row["answered_at"].date()):
            day_rows = list(group)
            try:
                self._write_day(day, day_rows)
            except Exception:
                self._measures.dropped.labels("log").inc(len(day_rows))
                logger.exception("%s rows of the prediction log could not be written", len(day_rows))

    def _write_day(self, day: datetime.date, rows: Sequence[Mapping[str, Any]]) -> None:
        folder = self._folder / f"date={day.isoformat()}"
        folder.mkdir(exist_ok=True)
        name = f"{rows[0]['answered_at']:%H%M%S%f}-{uuid.uuid4().hex[:8]}.parquet"
        temporary = folder / f".{name}.partial"
        parquet.write_table(pa.Table.from_pylist(list(rows), SCHEMA), temporary)
        os.replace(temporary, folder / name)
