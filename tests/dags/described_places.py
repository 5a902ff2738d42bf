"""Run by Airflow's own Python: builds the DAG where its tasks run in containers, and prints them as JSON."""

import json
import os
import sys
from typing import Any


def described(task: Any) -> dict[str, Any]:
    """Returns what a task hands to the container, in one form for both operators."""
    told = {"operator": type(task).__name__, "image": task.image, "retries": task.retries, "pool": task.pool}
    if told["operator"] == "DockerOperator":
        (mount,) = task.mounts
        return told | {
            "words": task.command,
            "variables": task.environment,
            "data": [mount["Source"], mount["Target"], mount["Type"]],
            "skips_on": list(task.skip_on_exit_code),
            "kept": task.auto_remove,
            "folder": task.working_dir,
        }
    (volume,), (mount,) = task.volumes, task.volume_mounts
    return told | {
        "words": [*task.cmds, *task.arguments],
        "variables": dict(task.env_vars),
        "data": [volume.persistent_volume_claim.claim_name, mount.mount_path, mount.name == volume.name],
        "skips_on": list(task.skip_on_exit_code),
    }


def failure(code: int) -> str:
    """Returns what an operator says of a container that ended with a code, in the words of its provider."""
    if os.environ["DEGRE_RUNS_IN"] == "docker":
        result = {"Error": None, "StatusCode": code}
        return f"Docker container failed: {result!r}"
    from kubernetes.client import models

    ended = models.V1ContainerState(terminated=models.V1ContainerStateTerminated(exit_code=code))
    status = models.V1ContainerStatus(
        name="base", image="degre", image_id="", ready=False, restart_count=0, state=ended
    )
    pod = models.V1Pod(status=models.V1PodStatus(phase="Failed", container_statuses=[status]))
    return f"Pod degre returned a failure.\nremote_pod: {pod}"


def place(folder: str, codes: list[int]) -> dict[str, Any]:
    """Returns the tasks that run a command of the project, and what happens after exit codes."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder)
    if bag.import_errors:
        return {"errors": list(bag.import_errors.values())}
    dag = bag.dags["daily_retraining"]
    policy = dag.tasks[0].retry_policy
    return {
        "tasks": {task.task_id: described(task) for task in dag.tasks if hasattr(task, "image")},
        "after": {code: policy.evaluate(RuntimeError(failure(code))).action.name for code in codes},
    }


if __name__ == "__main__":
    print(json.dumps(place(sys.argv[1], json.loads(sys.argv[2]))))
