"""Five days one after another with `airflow dags test`; the third one's delivery is broken."""

import shutil
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import airflow_runs
import pandas as pd
import pytest
import yaml
from airflow_runs import Airflow

import project_runs
from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import CHAMPION, positions
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.simulated_shop import simulate_request_log
from degre_pipeline.sources.window import cut_to_window

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MODEL = "degre_reranker_test"
FIRST_DAY = date(2026, 3, 2)
DAYS = tuple(FIRST_DAY + timedelta(days=number) for number in range(5))
BROKEN = DAYS[2]
SHOP = ShopConfig(
    users=40, items=30, categories=4, requests_per_day=120, days=10, candidates=8, list_length=4
)
OWN_LOG = {
    "ingestion": {
        "source": "request_log_files",
        "request_log_files": {
            "folder": 'data/01_raw/deliveries/${runtime_params:run_date,"none"}',
            "format": "parquet",
            "days": 5,
        },
    }
}


def deliver(project: Path, whole: RequestLog, day: date) -> None:
    """Writes the log as it was on the evening of a day; on the broken day a click is no click."""
    log = cut_to_window(whole, day, 30)
    if day == BROKEN:
        log = replace(log, exposures=log.exposures.assign(click=log.exposures["click"].replace({1: 7})))
    folder = project / "data/01_raw/deliveries" / day.isoformat()
    folder.mkdir(parents=True)
    derived = {"exposures": "candidate_index", "candidates": "ranking_rank"}
    for name, table in log.tables():
        kept: pd.DataFrame = table.drop(columns=derived.get(name, []))
        kept.to_parquet(folder / f"{name}.parquet")


@dataclass(frozen=True)
class FiveDays:
    airflow: Airflow
    exit_codes: tuple[int, ...]
    said: tuple[str, ...]
    champions: tuple[int | None, ...]


@pytest.fixture(scope="module")
def five_days(
    airflow_database: Path, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> FiveDays:
    airflow = airflow_runs.lay_out(tmp_path_factory.mktemp("five_days"), airflow_database, mlflow_database)
    overlay = airflow.project / "conf/test/parameters_ingestion.yml"
    overlay.write_text(yaml.safe_dump(OWN_LOG), "utf-8")
    whole, _ = simulate_request_log(SHOP, DAYS[-1])
    done, champions = [], []
    for day in DAYS:
        deliver(airflow.project, whole, day)
        done.append(airflow.run_day((day + timedelta(days=1)).isoformat()))
        champions.append(positions(project_runs.client(airflow.project), MODEL).get(CHAMPION))
    codes, said = (tuple(one.returncode for one in done), tuple(one.stdout + one.stderr for one in done))
    return FiveDays(airflow, codes, said, tuple(champions))


def test_only_the_broken_day_fails(five_days: FiveDays) -> None:
    assert [code == 0 for code in five_days.exit_codes] == [True, True, False, True, True], five_days.said


def test_the_broken_day_says_what_is_wrong_and_is_not_tried_again(five_days: FiveDays) -> None:
    said = five_days.said[2]
    assert "exposures.click" in said
    assert "exit code 65" in said
    assert said.count("--pipeline=ingestion") == five_days.said[1].count("--pipeline=ingestion")
    assert "--pipeline=list_building" not in said
    assert not [name for name in project_runs.written(five_days.airflow.project) if f"test/{BROKEN}/" in name]


def test_every_day_but_the_broken_one_has_a_version_that_passed(five_days: FiveDays) -> None:
    client = project_runs.client(five_days.airflow.project)
    versions = client.search_model_versions(f"name = '{MODEL}'")
    found = {version.tags["run_date"]: version.tags["gate_outcome"] for version in versions}
    assert found == {day.isoformat(): "promote" for day in DAYS if day != BROKEN}


def test_the_champion_was_always_one_that_had_passed(five_days: FiveDays) -> None:
    assert five_days.champions == (1, 2, 2, 3, 4)
    moves = [
        one.move for one in ledger.entries(project_runs.client(five_days.airflow.project), MODEL, CHAMPION)
    ]
    assert [(move.gate_outcome, move.flagged) for move in moves] == [("promote", False)] * 4


def test_the_repaired_day_becomes_a_candidate_that_does_not_serve(five_days: FiveDays) -> None:
    """The day is run again after its delivery was mended, when later days already serve."""
    project = five_days.airflow.project
    folder = project / "data/01_raw/deliveries"
    shutil.copy(folder / DAYS[3].isoformat() / "exposures.parquet", folder / BROKEN.isoformat())
    done = five_days.airflow.run_day((BROKEN + timedelta(days=1)).isoformat())
    assert done.returncode == 0, done.stdout + done.stderr
    client = project_runs.client(project)
    versions = {one.tags["run_date"]: one for one in client.search_model_versions(f"name = '{MODEL}'")}
    assert versions[BROKEN.isoformat()].tags["gate_outcome"] == "refuse"
    assert positions(client, MODEL)[CHAMPION] == 4


def test_a_day_without_a_delivery_stops_with_its_name(five_days: FiveDays) -> None:
    done = five_days.airflow.run_day((DAYS[-1] + timedelta(days=2)).isoformat())
    assert done.returncode != 0
    missed = DAYS[-1] + timedelta(days=1)
    assert f"deliveries/{missed}/requests.parquet does not exist" in done.stdout + done.stderr
