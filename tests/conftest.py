"""Small requests, small models and a small shop that tests of several rooms share."""

import datetime
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import mlflow
import pytest
import torch
import yaml
from hypothesis import settings
from torch import Tensor

import project_runs
from degre_pipeline.lists.list_config import ListConfig
from degre_pipeline.pipelines.list_building.nodes import (
    encode_requests,
    fit_features,
    join_tables,
    split_requests,
)
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.generator import OnlineGenerator, build_generator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.stored_models import TrainedWeights, store
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.simulation.click_world import ClickTruth
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.simulated_shop import simulate_request_log
from small_shop import SHOP, Shop, small_generator

torch.set_num_threads(1)
settings.register_profile("tests", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("tests")

FIELD_SIZES = (
    FieldSize("segment", "categorical", "user", 1, 5),
    FieldSize("hour", "categorical", "context", 1, 4),
    FieldSize("category", "categorical", "item", 1, 6),
    FieldSize("tags", "tags", "item", 2, 5),
    FieldSize("ranking_score", "numeric", "score", 1, 33),
)
SMALL = {
    "embedding_dim": 4,
    "width": 8,
    "layers": 2,
    "heads": 2,
    "feedforward": 16,
    "dropout": 0.1,
    "position_dim": 4,
}
SHOP_FIELDS = [
    {"name": "segment", "kind": "categorical", "group": "user"},
    {"name": "client", "kind": "categorical", "group": "context"},
    {"name": "category", "kind": "categorical", "group": "item"},
    {"name": "rating", "kind": "numeric", "group": "item", "size": 8},
    {"name": "ranking_score", "kind": "numeric", "group": "score", "size": 16},
]

LONGEST = tuple(project_runs.SOURCE / room for room in ("tests/serving/web", "tests/pipelines/gate", "tests"))
"""Rooms of files that take longest. They begin first, lest a process ends alone with one."""

M = TypeVar("M", bound=torch.nn.Module)
MakeRequests = Callable[..., Requests]
MakeEvaluator = Callable[..., LookaheadEvaluator]
MakeGenerator = Callable[..., OnlineGenerator]
MadeOnce = Callable[[str, Callable[[Path], object]], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of the longest files first; the order is otherwise kept."""
    items.sort(
        key=lambda item: LONGEST.index(item.path.parent) if item.path.parent in LONGEST else len(LONGEST)
    )


@pytest.fixture(scope="session")
def sizes() -> tuple[FieldSize, ...]:
    """Fields of every kind and group; no two candidates of a request share their `ranking_score` index."""
    return FIELD_SIZES


@pytest.fixture(scope="session")
def make_requests() -> MakeRequests:
    """Function that draws training requests of the mining role with the fields of `sizes`."""

    def make(
        b: int = 3, n: int = 8, slots: int = 4, *, real: Sequence[int] | None = None, seed: int = 0
    ) -> Requests:
        generator = torch.Generator().manual_seed(seed)
        counts = torch.tensor(real or [n] * b)
        mask = torch.arange(n) < counts[:, None]
        shown = torch.arange(slots) < counts[:, None]
        order = torch.rand(b, n, generator=generator).masked_fill(~mask, 2.0).argsort(1)
        exposed = torch.nn.functional.pad(order, (0, max(slots - n, 0)))[:, :slots]
        return Requests(
            request_id=torch.arange(b) + 100,
            split=torch.zeros(b, dtype=torch.uint8),
            role=torch.zeros(b, dtype=torch.uint8),
            static=_indices((b,), FIELD_SIZES[:2], generator),
            candidates=_with_distinct_scores(_indices((b, n), FIELD_SIZES[2:], generator), generator),
            mask=mask,
            scores=torch.randn(b, n, generator=generator).masked_fill(~mask, 0.0),
            exposed=exposed.masked_fill(~shown, 0),
            exposed_mask=shown,
            clicks=torch.randint(0, 2, (b, slots), generator=generator).float() * shown,
        )

    return make


@pytest.fixture(scope="session")
def make_evaluator() -> MakeEvaluator:
    """Function that builds an untrained evaluator in eval mode, in double precision."""

    def make(
        slots: int = 4, *, seed: int = 0, additive: Sequence[str] = (), **settings: Any
    ) -> LookaheadEvaluator:
        torch.manual_seed(seed)
        config = EvaluatorConfig(**{**SMALL, **settings})
        sizes = [replace(size, additive=size.name in additive) for size in FIELD_SIZES]
        return _spread(build_evaluator(sizes, slots, config)).double().eval()

    return make


@pytest.fixture(scope="session")
def make_generator() -> MakeGenerator:
    """Function that builds an untrained generator in eval mode, in double precision."""

    def make(slots: int = 4, *, seed: int = 0, **settings: Any) -> OnlineGenerator:
        torch.manual_seed(seed)
        config = GeneratorConfig(**{**SMALL, **settings})
        return _spread(build_generator(FIELD_SIZES, slots, config)).double().eval()

    return make


@pytest.fixture(scope="session")
def simulated_log() -> tuple[RequestLog, ClickTruth]:
    """Five days of a small simulated shop whose clicks follow segment, category and rating closely."""
    return simulate_request_log(SHOP, datetime.date(2026, 1, 31))


@pytest.fixture(scope="session")
def shop_log(simulated_log: tuple[RequestLog, ClickTruth]) -> RequestLog:
    """The tables of the small shop."""
    return simulated_log[0]


@pytest.fixture(scope="session")
def shop_truth(simulated_log: tuple[RequestLog, ClickTruth]) -> dict[str, Tensor]:
    """What really drives the clicks of the small shop, as it is stored."""
    return simulated_log[1].to_tensors()


@pytest.fixture(scope="session")
def shop_data(shop_log: RequestLog) -> tuple[Requests, FeatureSpace]:
    """The encoded requests and the feature space of the small shop."""
    log, config = shop_log, ListConfig(list_length=4, external_share=0.2)
    splits = split_requests(log.requests, config)
    lists = join_tables(log.requests, log.candidates, log.exposures, splits)
    space = fit_features(lists, log.feature_tables(), SHOP_FIELDS)
    return encode_requests(lists, log.feature_tables(), space, config), space


@pytest.fixture(scope="session")
def shop(shop_log: RequestLog, shop_data: tuple[Requests, FeatureSpace]) -> Shop:
    """What registration and the gate read of the small shop, with an untrained generator."""
    tensors, space = shop_data
    splits = split_requests(shop_log.requests, ListConfig(list_length=4, external_share=0.2))
    lists = join_tables(shop_log.requests, shop_log.candidates, shop_log.exposures, splits)
    return Shop(small_generator(space), space, tensors, lists, shop_log.feature_tables())


@pytest.fixture(scope="session")
def gate_config() -> GateConfig:
    """The gate's embedded settings."""
    content = yaml.safe_load(
        (project_runs.SOURCE / "conf" / "base" / "parameters_gate.yml").read_text("utf-8")
    )
    return GateConfig(**{**content["gate"]["settings"], "device": "cpu"})


@pytest.fixture(scope="session")
def gate_settings(gate_config: GateConfig) -> GateConfig:
    """Few requests, and latency that two loaded machines may differ in."""
    return replace(
        gate_config,
        requests=80,
        least_requests=20,
        least_users=5,
        bootstrap_samples=100,
        latency_requests=4,
        latency_ratio=100.0,
        old_user_requests=15,
    )


@pytest.fixture(scope="session")
def external_evaluator(shop: Shop) -> TrainedWeights:
    torch.manual_seed(3)
    space = shop.feature_space
    config = EvaluatorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=8, position_dim=4)
    return store(build_evaluator(space.sizes(), 4, config), space.sizes(), 4, config, space.identity)


def _indices(shape: tuple[int, ...], fields: Sequence[FieldSize], generator: torch.Generator) -> Tensor:
    columns = [
        torch.randint(0, field.indices, (*shape, field.columns), generator=generator) for field in fields
    ]
    return torch.cat(columns, -1).int()


def _with_distinct_scores(candidates: Tensor, generator: torch.Generator) -> Tensor:
    b, n = candidates.shape[:2]
    ranks = torch.stack([torch.randperm(32, generator=generator)[:n] + 1 for _ in range(b)])
    return torch.cat([candidates[..., :-1], ranks[..., None].int()], -1)


def _spread(model: M) -> M:
    """Gives every parameter, norms and biases too, a value that shows when it is forgotten."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Function that fills a folder unless another process of the same tests has filled it, and returns it.

    Tests only read what is in it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def once(name: str, fill: Callable[[Path], object]) -> Path:
        folder, filled = shared / name, shared / f"{name}.filled"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def mlflow_database(made_once: MadeOnce) -> Path:
    """An MLflow database without a run; making one takes seconds, copying it does not."""

    def make(folder: Path) -> None:
        mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    return made_once("empty_mlflow", make) / "mlflow.db"


@pytest.fixture
def registry(tmp_path: Path, mlflow_database: Path) -> Iterator[mlflow.MlflowClient]:
    """A client of an empty MLflow database; what MLflow keeps for the process is put back."""
    uri, path = mlflow.get_tracking_uri(), list(sys.path)
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.create_experiment("registration", (tmp_path / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(uri)
    sys.path[:] = path


@pytest.fixture(scope="session")
def finished_run(made_once: MadeOnce, mlflow_database: Path) -> Path:
    """The folder of a project after one `kedro run --env=test`; tests only read it (`project_runs` helps)."""

    def make(folder: Path) -> None:
        project = project_runs.lay_out(folder / "project", mlflow_database)
        project_runs.commit(project)
        project_runs.run(project)

    return (made_once("finished_run", make) / "project").resolve()
