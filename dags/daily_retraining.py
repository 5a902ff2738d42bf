"""Retrains the reranker on the days before each day, and lets it serve if the gate allows.

**A run is a day**, whatever the schedule: `run_date` is the last day that is complete when the run is due.
The models learn from the days before it and are compared, on that day's requests, with the model that serves.
All files of a run lie in folders of its day, and all it records is in one MLflow run, tagged `workflow_run`;
any of it may be repeated.

- **data** reads and checks the log, and builds lists from it.
- **training** trains both evaluators, mines with one of them, and distils the generator; one at a time, in
  the pool `gpu`.
- **release** evaluates, registers a version, and lets the gate decide: *promote* makes it the champion,
  *refuse* ends there, *hold* asks a person under "Required Actions". With `DEGRE_REFIT=yes` the version that
  serves is then trained once more, on the whole log.

A back-fill of earlier days stops after the gate and never moves the champion. A task is tried again where the
cause may pass, and not where data or settings are wrong: the command's exit code says which.

What it can be told, and what to do when it fails: `docs/how-to/retrain_daily.md`.
"""

import logging
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import (
    Asset,
    BaseOperator,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
    RetryDecision,
    RetryPolicy,
    SyncCallback,
    TaskGroup,
    TriggerRule,
    dag,
    task,
)

PROJECT = Path(os.environ.get("DEGRE_PROJECT") or Path(__file__).resolve().parents[1])
ENV = os.environ.get("DEGRE_ENV", "local")
RUNS_IN = os.environ.get("DEGRE_RUNS_IN", "shell")
RETRY_SECONDS = float(os.environ.get("DEGRE_RETRY_SECONDS", "60"))
DEADLINE_MINUTES = float(os.environ.get("DEGRE_DEADLINE_MINUTES", "180"))

PIPELINES = {
    "data": ("ingestion", "list_building"),
    "training": ("evaluator_training", "mining", "generator_distillation"),
    "release": ("evaluation", "registration", "gate"),
}
PARAMS = os.environ.get("DEGRE_PARAMS", "")
"""Settings of all pipelines that differ from the configuration, as `--params` takes them."""
BEFORE = os.environ.get("DEGRE_PIPELINES_BEFORE", "").split()
"""Pipelines that bring the day's log."""
REFIT = os.environ.get("DEGRE_REFIT", "no")
"""Whether a version that serves is trained once more, on the whole log: `yes` or `no`."""
TIMEOUTS = {"data": timedelta(hours=1), "training": timedelta(hours=8), "release": timedelta(hours=1)}
POOLS = {"training": "gpu"}

WRONG, NOT_SO = 65, 99
"""Exit codes: of `kedro run` where another try cannot help, of `degre check` where the answer is no."""
RUN_DATE = (
    "{{ (((dag_run.logical_date if dag_run.run_type == 'manual' else dag_run.data_interval_end)"
    " or dag_run.run_after) - macros.timedelta(days=1)) | ds }}"
)
"""The last day that was complete when the run was due, or at the moment a run by hand is for."""
BACKFILL_NEVER_PROMOTES = "{{ ',gate.settings.promotes=never' if dag_run.run_type == 'backfill' else '' }}"
ENVIRONMENT = {
    "DEGRE_WORKFLOW_RUN": "{{ dag.dag_id }} {{ run_id }}",
    "DEGRE_WHO": "{{ ((ti.xcom_pull(task_ids='release.approval') or {}).get('responded_by_user') or {})"
    ".get('name') or 'airflow' }}",
}
CHAMPION = Asset("degre_champion", group="models")
log = logging.getLogger(__name__)


class NoRetryWhereWrong(RetryPolicy):
    """Ends a task at once when its command says that data or settings are wrong."""

    exit_code = re.compile(r"(?:exit code|StatusCode|exit_?code)['\": =]*(\d+)", re.IGNORECASE)

    def evaluate(self, exception: BaseException, *_: Any, **__: Any) -> RetryDecision:
        """Reads the exit code from what the operator says, which is all that shell, Docker and pod share."""
        found = self.exit_code.search(str(exception))
        if found and int(found[1]) == WRONG:
            return RetryDecision.fail(
                f"exit code {WRONG}: data or settings are wrong, another try cannot help"
            )
        return RetryDecision.default()


def report_failure(context: Any) -> None:
    """Says which task of which day failed. The place for a message to whoever is on call."""
    failed = context["ti"]
    log.error("Retraining failed: %s of run %s, try %s", failed.task_id, context["run_id"], failed.try_number)


def report_lateness(**context: Any) -> None:
    """Says that a day's retraining is not finished in time. The place for a message, too."""
    log.error("Retraining is late: more than %g minutes since it was due. %s", DEADLINE_MINUTES, context)


def deadline() -> DeadlineAlert:
    """Returns when a day's retraining counts as late. `airflow dags test` (3.3) fails at the end with any."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=DEADLINE_MINUTES),
        callback=SyncCallback(report_lateness),
    )


def command(task_id: str, *words: str, **settings: Any) -> BaseOperator:
    """Returns the task that runs a command of the project, where `DEGRE_RUNS_IN` says.

    Raises: ValueError: If there is no such place.
    """
    places = {"shell": in_shell, "docker": in_docker, "kubernetes": in_pod}
    if RUNS_IN not in places:
        raise ValueError(f"DEGRE_RUNS_IN is {RUNS_IN!r}; allowed: {', '.join(places)}")
    return places[RUNS_IN](list(words), {"task_id": task_id, "skip_on_exit_code": NOT_SO, **settings})


def in_shell(words: list[str], settings: dict[str, Any]) -> BaseOperator:
    """Returns the task in the project's own environment on this machine."""
    from airflow.providers.standard.operators.bash import BashOperator

    program = Path(os.environ.get("DEGRE_BIN") or PROJECT / ".venv" / "bin") / words[0]
    line = " ".join(["exec", *(f'"{word}"' for word in (str(program), *words[1:]))])
    return BashOperator(bash_command=line, cwd=str(PROJECT), env=ENVIRONMENT, append_env=True, **settings)


def needed(variable: str) -> str:
    """Returns the value of an environment variable. Raises: ValueError: If it is not set."""
    value = os.environ.get(variable, "")
    if not value:
        raise ValueError(
            f"{variable} is not set; DEGRE_RUNS_IN={os.environ.get('DEGRE_RUNS_IN', '')} needs it "
            "(docs/how-to/retrain_daily.md)"
        )
    return value


def in_docker(words: list[str], settings: dict[str, Any]) -> BaseOperator:
    """Returns the task in a container of the image `DEGRE_IMAGE`, on the project's data folder."""
    from airflow.providers.docker.operators.docker import DockerOperator
    from docker.types import Mount

    return DockerOperator(
        image=needed("DEGRE_IMAGE"),
        command=words,
        environment={**ENVIRONMENT, "MLFLOW_TRACKING_URI": needed("MLFLOW_TRACKING_URI")},
        mounts=[Mount("/project/data", str(PROJECT / "data"), type="bind")],
        working_dir="/project",
        mount_tmp_dir=False,
        auto_remove="force",
        **settings,
    )


def in_pod(words: list[str], settings: dict[str, Any]) -> BaseOperator:
    """Returns the task in a pod of the image `DEGRE_IMAGE`, on the data of the claim `DEGRE_VOLUME_CLAIM`."""
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from kubernetes.client import models

    claim = models.V1PersistentVolumeClaimVolumeSource(claim_name=needed("DEGRE_VOLUME_CLAIM"))
    return KubernetesPodOperator(
        image=needed("DEGRE_IMAGE"),
        cmds=words[:1],
        arguments=words[1:],
        env_vars={**ENVIRONMENT, "MLFLOW_TRACKING_URI": needed("MLFLOW_TRACKING_URI")},
        volumes=[models.V1Volume(name="data", persistent_volume_claim=claim)],
        volume_mounts=[models.V1VolumeMount(name="data", mount_path="/project/data")],
        **settings,
    )


def pipeline(group: str, name: str) -> BaseOperator:
    """Returns the task that runs one Kedro pipeline of the day."""
    parameters = f"run_date={RUN_DATE}{',' * bool(PARAMS)}{PARAMS}"
    if name == "gate":
        parameters += BACKFILL_NEVER_PROMOTES
    words = ("kedro", "run", f"--pipeline={name}", f"--env={ENV}", f"--params={parameters}")
    return command(
        name,
        *words,
        execution_timeout=TIMEOUTS[group],
        pool=POOLS.get(group, "default_pool"),
        doc_md=f"`kedro run --pipeline={name}` for the day of the run.",
    )


def degre(task_id: str, *words: str, **settings: Any) -> BaseOperator:
    """Returns the task that asks or moves the registry about the day's version."""
    words = ("degre", *words, f"--run-date={RUN_DATE}", f"--env={ENV}")
    return command(task_id, *words, execution_timeout=timedelta(minutes=10), **settings)


@task.short_circuit(doc_md="Ends a back-fill here: its versions are dated candidates, for nobody to serve.")
def may_serve(dag_run: Any = None) -> bool:
    """Returns whether the day's version may become the champion at all."""
    return dag_run.run_type != "backfill"


def release(gate: BaseOperator) -> None:
    """Lets a person decide what the gate leaves open, and tells of a new champion."""
    waits = degre("waits_for_a_person", "check", "waits", doc_md="Skipped where the gate has decided.")
    approval = ApprovalOperator(
        task_id="approval",
        subject=f"May the model of {RUN_DATE} serve?",
        body="{{ ti.xcom_pull(task_ids='release.waits_for_a_person') or '' }}\n\n"
        "The gate's report is an artifact of the day's MLflow run, in the folder `gate`.",
        defaults=ApprovalOperator.REJECT,
        response_timeout=timedelta(hours=20),
        doc_md="No answer within 20 hours is a no, so that the next day can run.",
    )
    approved = degre("promote_approved", "promote", "--why=approved in Airflow")
    served = degre(
        "champion",
        "check",
        "serves",
        outlets=[CHAMPION],
        trigger_rule=TriggerRule.NONE_FAILED,
        doc_md="Succeeds, and updates the asset, where the day's version serves; skipped where it does not.",
    )
    allowed = may_serve()
    gate >> allowed >> waits >> approval >> approved >> served
    allowed >> served
    if refits():
        served >> pipeline("training", "refit")


def refits() -> bool:
    """Returns whether the day ends with a refit. Raises: ValueError: If `DEGRE_REFIT` is neither word."""
    if REFIT not in ("yes", "no"):
        raise ValueError(f"DEGRE_REFIT is {REFIT!r}; allowed: yes, no")
    return REFIT == "yes"


@dag(
    schedule=CronDataIntervalTimetable(os.environ.get("DEGRE_SCHEDULE", "0 0 * * *"), timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=23),
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=RETRY_SECONDS),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=30),
        "retry_policy": NoRetryWhereWrong(),
        "on_failure_callback": report_failure,
    },
    deadline=deadline() if DEADLINE_MINUTES else None,
    tags=["degre"],
    doc_md=__doc__,
)
def daily_retraining() -> None:
    """Retrains the reranker on the days before each day."""
    before = None
    for group, names in PIPELINES.items():
        with TaskGroup(group):
            for name in (*BEFORE, *names) if group == "data" else names:
                step = pipeline(group, name)
                if before is not None:
                    before >> step
                before = step
            if group == "release":
                release(step)


daily_retraining()
