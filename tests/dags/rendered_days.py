"""Run by Airflow's own Python: prints the run_date that runs of several schedules have, as JSON."""

import json
import sys
from datetime import datetime
from types import SimpleNamespace

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import macros
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.utils.types import DagRunType


def run_of(schedule: str, kind: str, logical: str | None, due: str) -> SimpleNamespace:
    """Returns a run as Airflow makes it: by the scheduler, by a back-fill, or by hand at a moment."""
    timetable = CronDataIntervalTimetable(schedule, timezone="UTC")
    moment = datetime.fromisoformat(due)
    if kind == "manual":
        logical_date = datetime.fromisoformat(logical) if logical else None
        interval = timetable.infer_manual_data_interval(run_after=logical_date) if logical_date else None
    else:
        interval = timetable.infer_manual_data_interval(run_after=moment)
        logical_date = interval.start
    return SimpleNamespace(
        run_type=DagRunType(kind),
        logical_date=logical_date,
        run_after=moment,
        data_interval_start=interval.start if interval else None,
        data_interval_end=interval.end if interval else None,
    )


def run_date(dag: object, run: SimpleNamespace) -> str:
    """Returns the day that a task of the DAG is told."""
    line = dag.get_task("data.ingestion").bash_command
    rendered = dag.get_template_env().from_string(line).render(dag_run=run, macros=macros)
    return rendered.partition("run_date=")[2][:10]


if __name__ == "__main__":
    found = DagBag(sys.argv[1]).dags["daily_retraining"]
    print(json.dumps([run_date(found, run_of(*case)) for case in json.loads(sys.argv[2])]))
