"""Which day a run is for, as a real Airflow tells its tasks."""

import json
import subprocess
from pathlib import Path

import airflow_runs
import pytest

import project_runs

pytestmark = pytest.mark.airflow

DAILY, AT_SIX, WEEKLY, SIX_HOURLY = "0 0 * * *", "0 6 * * *", "0 0 * * 1", "0 */6 * * *"
CASES = {
    ("daily", DAILY, "scheduled", None, "2026-02-02T00:00:00+00:00"): "2026-02-01",
    ("daily at six", AT_SIX, "scheduled", None, "2026-02-02T06:00:00+00:00"): "2026-02-01",
    ("weekly", WEEKLY, "scheduled", None, "2026-02-09T00:00:00+00:00"): "2026-02-08",
    ("six-hourly, midnight", SIX_HOURLY, "scheduled", None, "2026-02-02T00:00:00+00:00"): "2026-02-01",
    ("six-hourly, noon", SIX_HOURLY, "scheduled", None, "2026-02-02T12:00:00+00:00"): "2026-02-01",
    ("back-filled", DAILY, "backfill", None, "2026-02-04T00:00:00+00:00"): "2026-02-03",
    ("by hand", DAILY, "manual", None, "2026-02-03T10:15:00+00:00"): "2026-02-02",
    ("by hand before six", AT_SIX, "manual", None, "2026-02-03T05:00:00+00:00"): "2026-02-02",
    ("by hand, weekly", WEEKLY, "manual", None, "2026-02-12T10:15:00+00:00"): "2026-02-11",
    (
        "by hand for an earlier moment",
        DAILY,
        "manual",
        "2026-02-02T00:00:00+00:00",
        "2026-05-01T00:00:00+00:00",
    ): ("2026-02-01"),
    (
        "by hand for a moment before six",
        AT_SIX,
        "manual",
        "2026-02-02T05:00:00+00:00",
        "2026-05-01T00:00:00+00:00",
    ): ("2026-02-01"),
}


@pytest.fixture(scope="module")
def days(airflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    script, dags = Path(__file__).with_name("rendered_days.py"), project_runs.SOURCE / "dags"
    done = subprocess.run(
        [airflow_python, script, dags, json.dumps([case[1:] for case in CASES])],
        env=airflow_runs.settings(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip((case[0] for case in CASES), json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize(("name", "day"), [(case[0], day) for case, day in CASES.items()])
def test_a_run_is_for_the_last_day_that_was_complete(days: dict[str, str], name: str, day: str) -> None:
    assert days[name] == day
