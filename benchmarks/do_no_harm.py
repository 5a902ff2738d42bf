"""What the gate lets through on logs that are shown in the order of their score, judged by the truth.

    python -m benchmarks.do_no_harm

Each point simulates a log, writes its five tables as anybody's own log, runs `kedro run` on them with the
default settings in a new project, without the truth, and only then asks the truth about the lists. Finished
points of `docs/benchmarks/do_no_harm.json` are not measured again.
"""

import argparse
import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors.torch import load_file

from benchmarks.own_project import PROJECT, kedro_run, lay_out
from degre_pipeline.reranker.metrics import bootstrap
from degre_pipeline.simulation.click_world import ClickTruth
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.simulated_shop import simulate_request_log

ROWS = PROJECT / "docs" / "benchmarks" / "do_no_harm.json"
LAST_DAY = datetime.date(2026, 1, 31)
DAYS = 6
ENVIRONMENT = "search_log"
SMALLEST, LARGEST = 2000, 60_000
WRONG = 65  # exit code where data or settings are wrong
SHORT_REPORT = "evaluation.settings.exact_requests=0"
Row = dict[str, Any]

SEARCH = ShopConfig(
    days=DAYS,
    candidates=8,
    list_length=3,
    base_logit=0.0,
    satiation=0.0,
    complement_bonus=0.0,
    slot_penalty=0.4,
    ranking_noise=0.2,
    logging_noise=0.0,
    exploration=0.0,
    touched_share=0.6,
    one_choice=True,
)
WORLDS: Mapping[str, ShopConfig] = {
    "search": SEARCH,
    "slots do not matter": replace(SEARCH, slot_penalty=0.0),
    "nothing to find": replace(SEARCH, ranking_noise=0.0, touched_logit=0.0),
    "whole page shown": replace(SEARCH, candidates=6, list_length=6, slot_penalty=0.3),
    "company matters": replace(
        ShopConfig(), days=DAYS, logging_noise=0.0, exploration=0.0, touched_share=0.2
    ),
}
"""Logs without any variation, by what is true of their clicks."""


@dataclass(frozen=True)
class Point:
    """A log: its world, how many requests, and its seed."""

    world: str
    requests: int
    seed: int

    @property
    def shop(self) -> ShopConfig:
        """The settings of its world."""
        return replace(WORLDS[self.world], requests_per_day=-(-self.requests // DAYS), seed=self.seed)


def points() -> list[Point]:
    """Returns twenty logs, each of a seed of its own: of all worlds small ones, of some also large ones."""
    logs = [
        *((SMALLEST, world) for world in WORLDS),
        *((6000, world) for world in WORLDS),
        *((SMALLEST, world) for world in WORLDS),
        *((20_000, world) for world in ("search", "nothing to find", "whole page shown")),
        *((LARGEST, world) for world in ("slots do not matter", "nothing to find")),
    ]
    return [Point(world, requests, seed=100 + number) for number, (requests, world) in enumerate(logs)]


def measure(point: Point) -> Row:
    """Returns what the gate decides about a log's model, and what its lists are worth in truth."""
    log, truth = simulate_request_log(point.shop, LAST_DAY)
    with TemporaryDirectory(prefix="degre_harm_") as folder:
        project = lay_out(Path(folder))
        raw = project / "data/01_raw/own"
        raw.mkdir(parents=True)
        for name, table in log.tables():
            derived = ["candidate_index"] if name == "exposures" else ["ranking_rank"]
            table.drop(columns=derived, errors="ignore").to_parquet(raw / f"{name}.parquet", index=False)
        trained = _kedro_run(project, point.shop.list_length)
        found = _outcome(project, truth) if trained else {"outcome": "not trained", "true_gain": 0.0}
        return {**asdict(point), **found}


def _kedro_run(project: Path, list_length: int) -> bool:
    """Returns whether a model was trained; False where the run says that the log speaks for none."""
    settings = (
        "ingestion.source=request_log_files,ingestion.request_log_files.folder=data/01_raw/own,"
        f"list_building.lists.list_length={list_length},{SHORT_REPORT}"
    )
    done = kedro_run(project, f"--env={ENVIRONMENT}", f"--params={settings}", capture_output=True)
    said = " ".join((done.stdout + done.stderr).split())
    if done.returncode == WRONG and "no generator is trained" in said:
        return False
    if done.returncode:
        raise RuntimeError(
            f"kedro run ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return True


def _outcome(project: Path, truth: ClickTruth) -> Row:
    reporting = project / "data/08_reporting" / ENVIRONMENT
    decision = json.loads((reporting / "gate/gate_decision.json").read_text())
    metrics = json.loads((reporting / "evaluation/metrics.json").read_text())
    lists = load_file(project / "data/07_model_output" / ENVIRONMENT / "evaluated_lists.safetensors")
    true = truth.select(lists["request_id"].tolist())
    worth = {
        name: true.utility(own.numpy()[:, None])[:, 0] for name, own in lists.items() if name != "request_id"
    }
    gain = bootstrap(worth["generator"] - worth["ranking_order"])
    found = {(row["subject"], row["judge"], row["metric"]): row for row in metrics}
    return {
        "outcome": decision["outcome"],
        "decided_by": decision["decided_by"]["rule"],
        "tested": len(true.request_id),
        "ranking_order": float(np.mean(worth["ranking_order"])),
        "true_gain": gain.value,
        "true_low": gain.low,
        "true_high": gain.high,
        "reported_gain": found["generator", "external", "utility_over_ranking_order"]["value"],
        "order_over_shown": found["generator", "logged_clicks", "order_over_shown"]["value"],
        "order_low": found["generator", "logged_clicks", "order_over_shown"]["low"],
        "slot_coverage": found["log", "log", "slot_coverage"]["value"],
    }


def _missing(rows: list[Row]) -> Iterator[Point]:
    known = [row.items() for row in rows]
    return (point for point in points() if not any(asdict(point).items() <= row for row in known))


def main() -> None:
    """Measures the points that are missing, and stores each at once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most-requests", type=int, default=LARGEST, help="leave out larger logs")
    most = parser.parse_args().most_requests
    rows: list[Row] = json.loads(ROWS.read_text()) if ROWS.exists() else []
    for point in _missing(rows):
        if point.requests <= most:
            rows.append(measure(point))
            print(json.dumps(rows[-1]), flush=True)
            ROWS.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    harmful = [row for row in rows if row["outcome"] == "promote" and row["true_gain"] < 0]
    promoted = sum(row["outcome"] == "promote" for row in rows)
    print(f"{len(rows)} logs, {promoted} promoted, {len(harmful)} of them to harm")


if __name__ == "__main__":
    main()
