"""Run by Airflow's own Python: reads the DAG file and prints what it holds, as JSON."""

import json
import sys
import time

from airflow.dag_processing.dagbag import DagBag

HEAVY = ("kedro", "mlflow", "numpy", "pandas", "torch", "docker", "kubernetes")


def lines(dag: object) -> list[str]:
    """Returns every task with its operator, pool, rule and what follows it."""
    found = []
    for task in sorted(dag.tasks, key=lambda one: one.task_id):
        after = ", ".join(sorted(task.downstream_task_ids)) or "-"
        found.append(f"{task.task_id}: {type(task).__name__}, {task.pool}, {task.trigger_rule} > {after}")
    return found


def described(folder: str) -> dict[str, object]:
    """Returns the DAG's structure and settings, or why it could not be read."""
    before = set(sys.modules)
    start = time.perf_counter()
    bag = DagBag(folder)
    seconds = time.perf_counter() - start
    heavy = sorted({name.split(".")[0] for name in set(sys.modules) - before} & set(HEAVY))
    told = {"seconds": seconds, "heavy": heavy, "errors": dict(bag.import_errors), "dags": sorted(bag.dags)}
    dag = bag.dags.get("daily_retraining")
    if dag is not None:
        told |= {
            "tasks": lines(dag),
            "commands": {
                task.task_id: task.bash_command for task in dag.tasks if hasattr(task, "bash_command")
            },
            "retries": sorted({task.retries for task in dag.tasks}),
            "timeouts": {
                task.task_id: task.execution_timeout.total_seconds() if task.execution_timeout else None
                for task in dag.tasks
            },
            "max_active_runs": dag.max_active_runs,
            "catchup": dag.catchup,
            "timetable": type(dag.timetable).__name__,
            "deadlines": len(dag.deadline) if isinstance(dag.deadline, list) else int(bool(dag.deadline)),
            "documented": bool(dag.doc_md) and all(group in dag.doc_md for group in dag.task_group.children),
            "outlets": {
                task.task_id: [one.name for one in task.outlets] for task in dag.tasks if task.outlets
            },
        }
    return told


if __name__ == "__main__":
    print(json.dumps(described(sys.argv[1])))
