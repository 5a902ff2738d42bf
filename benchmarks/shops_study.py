"""The headline of the truth study on several simulated shops and worlds, for the default run's settings.

    python -m benchmarks.shops_study --shops 201 202 203 204 205 --worlds shop page leaving --seeds 0

A shard is one world, one shop seed and one seed of the models. It runs the main job, from ingestion to
evaluation, in a copy of the project of its own and keeps what the truth says of every list. Give the same
command again after an interruption: finished shards are not run again, and trainings go on from their
checkpoints. Several processes may share the shards; each takes what is neither finished nor being run. Shards
belong to the settings: changed ones begin a study of their own. `python -m benchmarks.publish_shops` makes
the tables of the documentation.

Worlds are those of the simulator. A log in the order of its score ("deterministic") is no world but a way of
logging, and the main job trains no generator from it; `python -m benchmarks.do_no_harm` is about such logs.
"""

import argparse
import fcntl
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.own_project import PROJECT, kedro_run, lay_out
from degre_pipeline.configuration import ProjectConfigLoader
from degre_pipeline.datasets import JSONDataset, TableDataset
from degre_pipeline.judging import names
from degre_pipeline.judging.study.shop_rows import PLAIN_NAMES, true_values
from degre_pipeline.judging.study.study_config import digest
from degre_pipeline.reports.numbers import estimates_of, percentage, regret_removed, subjects_of
from degre_pipeline.reranker.head_choice import with_head
from degre_pipeline.reranker.models.model_config import EvaluatorConfig

STUDY = PROJECT / "data/08_reporting/shops_study"
SOURCE = "simulated_shop"
PIPELINES = (
    "ingestion",
    "list_building",
    "evaluator_training",
    "mining",
    "generator_distillation",
    "evaluation",
)
"""The main job up to its figures."""

WORLDS: Mapping[str, Mapping[str, float]] = {"shop": {}, "page": {"satiation": 0.5}, "leaving": {}}
"""Settings of the shop by world, where they are not the default."""

EXTERNAL_SEED = 1000  # of the external evaluator, less the models' seed: what it is by default with seed 0
Row = dict[str, Any]


@dataclass(frozen=True, order=True)
class Shard:
    """One run of the main job.

    Attributes:
        seed: Of the training of evaluators and generator.
        shop_seed: Of the simulated shop.
        world: Of the simulated shop.
    """

    seed: int
    shop_seed: int
    world: str

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.world}_{self.shop_seed}_{self.seed}"

    @property
    def parameters(self) -> dict[str, str | float]:
        """What it changes in the settings, by dotted name."""
        return {
            "ingestion.simulated_shop.world": self.world,
            "ingestion.simulated_shop.seed": self.shop_seed,
            **{f"ingestion.simulated_shop.{name}": value for name, value in WORLDS[self.world].items()},
            "evaluator_training.training.seed": self.seed,
            "evaluator_training.external_seed": EXTERNAL_SEED + self.seed,
            "generator_distillation.training.seed": self.seed,
            "evaluation.settings.exact_requests": 0,  # takes minutes, and the truth's best list is known
        }


def plan(worlds: Sequence[str], shop_seeds: Sequence[int], seeds: Sequence[int]) -> list[Shard]:
    """Returns every combination, so ordered that a study that is ended early has whole shops.

    Raises: ValueError naming what is repeated or not allowed.
    """
    for name, values in (("worlds", worlds), ("shops", shop_seeds), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} are {list(values)}; allowed: one or more, each once")
    for world in worlds:
        if world not in WORLDS:
            raise ValueError(f"world is {world!r}; allowed: {', '.join(WORLDS)}")
    for name, numbers in (("shop seed", shop_seeds), ("seed", seeds)):
        if min(numbers) < 0:
            raise ValueError(f"{name} is {min(numbers)}; allowed: 0 or more")
    return [Shard(seed, shop, world) for seed, shop, world in product(seeds, shop_seeds, worlds)]


@dataclass(frozen=True)
class Study:
    """The shards of one configuration and where they are kept.

    Attributes:
        folder: Its files: `rows/NAME.json` and `.parquet` of finished shards, `projects/NAME` of the others.
        env: Folder of `conf/` whose settings hold; empty: the default ones.
        data: Name of the data in the rows.
        reporting: Folder of a run's reports, relative to its project.
        intermediate: Folder of a run's request log.
        evaluator: Settings of the evaluators, which may leave the head open.
    """

    folder: Path
    env: str
    data: str
    reporting: str
    intermediate: str
    evaluator: EvaluatorConfig

    def rows(self, shard: Shard) -> JSONDataset:
        """The figures of a shard, written last: with them it is finished."""
        return JSONDataset(str(self.folder / "rows" / f"{shard.name}.json"))

    def values(self, shard: Shard) -> TableDataset:
        """The true clicks of a shard's lists, request by request."""
        return TableDataset(str(self.folder / "rows" / f"{shard.name}.parquet"))

    def finished(self) -> list[Shard]:
        """Returns the finished shards."""
        stems = [file.stem.split("_") for file in sorted((self.folder / "rows").glob("*.json"))]
        return sorted(Shard(int(seed), int(shop), world) for world, shop, seed in stems)

    @contextmanager
    def claimed(self, shard: Shard) -> Iterator[int | None]:
        """Yields a descriptor that no other process has while it is open; None where another one has it."""
        lock = self.folder / "projects" / f"{shard.name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield file.fileno()


def open_study(env: str = "", root: Path = STUDY) -> Study:
    """Returns the study of today's settings, in a folder named after them.

    Raises: ValueError: If there is no such `env`, or if it reads another source than the simulated shop.
    """
    folders = sorted(folder.name for folder in (PROJECT / "conf").iterdir() if folder.is_dir())
    if env and env not in folders:
        raise ValueError(f"env is {env!r}; allowed: {', '.join(folders)}, or none")
    loader = ProjectConfigLoader(str(PROJECT / "conf"), env or None)
    parameters, common = loader["parameters"], loader["globals"]
    source = parameters["ingestion"]["source"]
    if source != SOURCE:
        raise ValueError(
            f"ingestion.source with env {env!r} is {source!r}; allowed: {SOURCE}, whose truth is known"
        )
    used = {**{name: parameters[name] for name in PIPELINES}, "ingestion": parameters["ingestion"][SOURCE]}
    return Study(
        root / (env or "default") / digest(json.dumps(used, sort_keys=True, default=str)),
        env,
        data=common["data"],
        reporting=common["folders"]["reporting"],
        intermediate=common["folders"]["intermediate"],
        evaluator=EvaluatorConfig(**parameters["evaluator_training"]["model"]),
    )


def run_shards(study: Study, shards: Sequence[Shard], *, keep: bool = False) -> list[Shard]:
    """Runs the shards that are missing, one after another, and returns those that failed.

    Args:
        study: Where they are kept.
        shards: In the order in which they are run.
        keep: Whether the projects of finished shards stay, with their data and reports.
    """
    failed = []
    for shard in shards:
        with study.claimed(shard) as lock:
            if lock is None:
                print(f"{shard.name}: another process runs it", flush=True)
            elif study.rows(shard).exists():
                print(f"{shard.name}: finished before", flush=True)
            elif not _run(study, shard, lock, keep=keep):
                failed.append(shard)
    return failed


def main_job(study: Study, shard: Shard, project: Path, lock: int) -> bool:
    """Returns whether the main job ends well in a project; what it says is added to `run.log` there."""
    parameters = ",".join(f"{name}={value}" for name, value in shard.parameters.items())
    words = [f"--pipelines={','.join(PIPELINES)}", f"--params={parameters}"]
    env = [f"--env={study.env}"] if study.env else []
    with (project / "run.log").open("a") as log:
        # With the lock, the run keeps its claim even where this process is killed.
        done = kedro_run(
            lay_out(project), *env, *words, stdout=log, stderr=subprocess.STDOUT, pass_fds=(lock,)
        )
    return done.returncode == 0


def _run(study: Study, shard: Shard, lock: int, *, keep: bool) -> bool:
    project = study.folder / "projects" / shard.name
    project.mkdir(parents=True, exist_ok=True)
    print(f"{shard.name}: runs, see {project / 'run.log'}", flush=True)
    began = time.monotonic()
    if not main_job(study, shard, project, lock):
        print(f"{shard.name}: failed, see the end of {project / 'run.log'}", file=sys.stderr, flush=True)
        return False
    rows, values = figures(study, shard, project)
    study.values(shard).save(values)
    study.rows(shard).save(rows)
    if not keep:
        shutil.rmtree(project)
    print(f"{shard.name}: {_headline(rows)}; {time.monotonic() - began:.0f} s", flush=True)
    return True


def figures(study: Study, shard: Shard, project: Path) -> tuple[list[Row], pd.DataFrame]:
    """Returns the rows of a finished main job, and the true clicks of its lists by request.

    Rows are {data, world, shop_seed, seed, head, subject, judge, metric, value}: of every subject the true
    clicks, `utility`, and of all but the best list the share of the ranking order's regret, `regret_removed`.
    """
    reporting, intermediate = project / study.reporting, project / study.intermediate
    values = true_values(
        TableDataset(str(reporting / "evaluation/list_judgements.parquet")).load(),
        TableDataset(str(intermediate / "requests.parquet")).load(),
    )
    estimates = estimates_of(JSONDataset(str(reporting / "evaluation/metrics.json")).load())
    found = {
        (names.OPTIMUM, names.UTILITY): values.loc[values["subject"] == names.OPTIMUM, "value"].mean(),
    }
    for subject in subjects_of(estimates):
        plain = PLAIN_NAMES.get(subject, subject)
        found[plain, names.UTILITY] = estimates[subject, names.TRUTH, names.UTILITY].value
        found[plain, names.REGRET_REMOVED] = regret_removed(estimates, subject)
    heads = JSONDataset(str(reporting / "training/head_choice.json")).load()
    facts = {"data": study.data, "world": shard.world, "shop_seed": shard.shop_seed, "seed": shard.seed}
    facts["head"] = with_head(study.evaluator, heads).head
    return [
        {**facts, **names.figure_row(subject, names.TRUTH, metric, value=float(value))}
        for (subject, metric), value in found.items()
    ], values


def _headline(rows: Sequence[Row]) -> str:
    removed = {row["subject"]: row["value"] for row in rows if row["metric"] == names.REGRET_REMOVED}
    shares = ", ".join(
        f"{subject} {percentage(removed[subject], 1)}" for subject in (names.GENERATOR, names.TEACHER)
    )
    return f"{shares} of the regret removed, head {rows[0]['head']}"


def main() -> None:
    """Runs the shards that are missing; exit code 1 where one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shops", nargs="+", type=int, required=True, help="seeds of simulated shops")
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), help=f"of {', '.join(WORLDS)} (all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="seeds of the models (0)")
    parser.add_argument("--env", default="", help="folder of conf/: test for a trial of seconds a shard")
    parser.add_argument("--keep", action="store_true", help="keep the data and reports of finished shards")
    parser.add_argument("--plan", action="store_true", help="say what is finished and missing, run nothing")
    chosen = parser.parse_args()
    try:
        shards, study = plan(chosen.worlds, chosen.shops, chosen.seeds), open_study(chosen.env)
    except ValueError as error:
        parser.error(str(error))
    if chosen.plan:
        for shard in shards:
            print(f"{shard.name}: {'finished' if study.rows(shard).exists() else 'missing'}")
        return
    failed = run_shards(study, shards, keep=chosen.keep)
    print(f"{len(shards)} shards, {len(failed)} failed; rows lie in {study.folder / 'rows'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
