"""How many logged days, and how much exploration in them, good lists need; judged by the shop's truth.

    python -m benchmarks.log_size

Each point simulates a log of its own, trains a mining evaluator on it, with the default run's settings, and
lets the truth value what a search by it finds for requests of a later day. Finished points of
`docs/benchmarks/log_size.json` are not measured again; the picture is drawn beside it.
"""

import argparse
import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from torch import Tensor

from degre_pipeline.lists.joined_lists import join_lists
from degre_pipeline.lists.list_encoding import encode_lists, fit_on_training
from degre_pipeline.reranker.distillation import distill
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.lookahead_mining import mine
from degre_pipeline.reranker.losses import slot_click_loss
from degre_pipeline.reranker.metrics import bootstrap
from degre_pipeline.reranker.mined_requests import MinedRequests
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, EvaluatorHead
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_decoding, restore_evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import parse_fields
from degre_pipeline.reranker.search.mining_config import MiningConfig, SearchStrategy
from degre_pipeline.reranker.support import ranking_order
from degre_pipeline.reranker.training.objectives import EvaluatorLoss
from degre_pipeline.reranker.training.step_configs import GeneratorDistillationConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.simulation.click_world import ClickTruth
from degre_pipeline.simulation.optimum import best_lists
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.simulated_shop import simulate_request_log
from degre_pipeline.sources.splits import uniform_hash

PROJECT = Path(__file__).resolve().parents[1]
ROWS = PROJECT / "docs" / "benchmarks" / "log_size.json"
PICTURE = ROWS.with_suffix(".svg")
LAST_DAY = datetime.date(2026, 1, 31)
BLOCK = 10  # days simulated and encoded together
TESTED = 2000
DAYS, EXPLORATION, EXTERNAL_SHARE = 10, 0.1, 0.3  # of the default run
IDS = (
    {"name": "user_id", "kind": "categorical", "group": "user"},
    {"name": "item_id", "kind": "categorical", "group": "item"},
)
Ids = Literal["none", "inside", "additive"]
UNSEEN = (201, 202, 203, 204, 205)
"""Shops that no setting was chosen by."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """A log to learn from, and how.

    Attributes:
        days: Of training.
        exploration: Share of requests that are shown a random list.
        ids: Ids of users and items: no fields, fields inside the network, or additive ones.
        passes: Epochs; 0: fewer the longer the log is.
        strategy: Of the search.
        head: Of the evaluator.
        beam_size: Of the search.
        factors: Width of a factor model of additive ids.
        shop_seed: Of the shop; settings were chosen by the first one.
        distilled: Whether a generator is distilled from lists of the training requests, too.
    """

    days: int
    exploration: float
    ids: Ids = "none"
    passes: int = 0
    strategy: SearchStrategy = "beam"
    head: EvaluatorHead = "slot_clicks"
    beam_size: int = 8
    factors: int = 0
    shop_seed: int = 7
    distilled: bool = False


def default_run(days: int, ids: Ids, shop_seed: int = 7, **settings: int) -> Point:
    """Returns a point with the head, the search and the distillation of the default run."""
    found = Point(
        days, EXPLORATION, ids, strategy="diverse_beam", head="company", beam_size=32, distilled=True
    )
    return replace(found, shop_seed=shop_seed, **settings)


POINTS = (
    *(Point(DAYS, exploration) for exploration in (EXPLORATION, 0.0, 0.03, 0.3, 1.0)),
    *(Point(days, EXPLORATION) for days in (1, 3, 30, 100)),
    *(Point(days, EXPLORATION, "inside") for days in (DAYS, 100)),
    Point(100, EXPLORATION, "inside", passes=5),
    Point(100, EXPLORATION, "inside", passes=5, strategy="diverse_beam"),
    Point(300, EXPLORATION),
    *(default_run(days, "none") for days in (1, 3, DAYS, 30, 100)),
    *(default_run(days, "additive") for days in (DAYS, 30, 100)),
    *(default_run(days, "additive", passes=5, factors=16) for days in (DAYS, 100)),
    *(default_run(100, "additive", seed, passes=5, factors=16) for seed in UNSEEN),
)


@dataclass(frozen=True)
class Settings:
    """The default run's own: its shop, its fields, its evaluator, its search."""

    shop: ShopConfig
    fields: list[dict[str, Any]]
    evaluator: EvaluatorConfig
    training: TrainingConfig
    search: MiningConfig
    generator: GeneratorDistillationConfig


def measure(point: Point, settings: Settings) -> Row:
    """Returns what the evaluator of a log is worth, with 95% intervals over test requests."""
    training, validation, test, truth, space = simulated(point, settings)
    few = test.select(slice(0, TESTED))
    usual = max(1, min(20, round(settings.training.epochs * (DAYS / point.days) ** 0.5)))
    trained, history = train_evaluator(
        training,
        validation,
        sizes=space.sizes(),
        config=replace(settings.evaluator, head=point.head, additive_factors=point.factors),
        training=replace(settings.training, epochs=point.passes or usual, resume=False),
        name=f"{point.days}_days",
    )
    evaluator = restore_evaluator(trained)
    search = replace(settings.search, strategy=point.strategy, beam_size=point.beam_size)
    found = mine(evaluator, few, torch.arange(len(few)), search)
    true = truth.select(few.request_id.tolist())
    mined, ranked = (_utility(true, lists) for lists in (found["sequences"][:, 0].long(), ranking_order(few)))
    possible = best_lists(true, few.list_length)[1] - ranked
    removed = bootstrap((mined - ranked) / possible.mean())
    by_generator: dict[str, float] = {}
    if point.distilled:
        lists = _generated(trained, (training, validation, few), space, search, settings)
        estimate = bootstrap((_utility(true, lists) - ranked) / possible.mean())
        by_generator = {
            "generator": estimate.value,
            "generator_low": estimate.low,
            "generator_high": estimate.high,
        }
    believed = found["values"][:, 0].double().numpy()
    return {
        **vars(point),
        "training_lists": len(training),
        "epochs": len(history),
        "regret_removed": removed.value,
        "low": removed.low,
        "high": removed.high,
        **by_generator,
        "optimism": float(believed.mean() / mined.mean() - 1),
        "loss": _loss(evaluator, test),
        "loss_of_truth": _loss_of_truth(truth, test),
    }


def _generated(
    teacher: TrainedWeights,
    requests: tuple[Requests, Requests, Requests],
    space: FeatureSpace,
    search: MiningConfig,
    settings: Settings,
) -> Tensor:
    """Returns the lists of a generator for the last of training, validation and asked requests, [b, L]."""
    examples, evaluator = [], restore_evaluator(teacher)
    most = search.most_requests
    for known, number in ((requests[0], most), (requests[1], most // 8)):
        drawn = torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:number].sort().values
        found = mine(evaluator, known, drawn, search)
        sequences = (found[name] for name in ("sequences", "values", "step_values"))
        examples.append(MinedRequests.of(known.select(found["row"]), *sequences))
    config, asked = settings.generator, requests[2]
    stored, _ = distill(
        *examples,
        teacher,
        sizes=space.sizes(),
        config=config.model,
        training=replace(config.training, resume=False),
        distillation=config.distillation,
    )
    with torch.no_grad():
        lists: Tensor = restore_decoding(stored)(asked.static, asked.candidates, asked.mask)[0]
    return lists


def simulated(
    point: Point, settings: Settings
) -> tuple[Requests, Requests, Requests, ClickTruth, FeatureSpace]:
    """Returns training, validation and test requests of a log, the truth of the last, and the features."""
    ids = [field | {"additive": point.ids == "additive"} for field in IDS]
    fields = parse_fields([*settings.fields, *(ids if point.ids != "none" else ())])
    shop = replace(settings.shop, exploration=point.exploration, seed=point.shop_seed)
    first = LAST_DAY - datetime.timedelta(days=point.days + 1)
    space: FeatureSpace | None = None
    training = []
    for done in range(0, point.days, BLOCK):
        days = min(BLOCK, point.days - done)
        log, _, joined = _block(
            replace(shop, days=days), first + datetime.timedelta(days=done + days - 1), "train"
        )
        space = space or fit_on_training(fields, joined, log)
        encoded = encode_lists(joined, log, space, shop.list_length)
        training.append(encoded.select((encoded.role == 0).nonzero()[:, 0]))
    assert space is not None
    later = []
    for ago, split in ((1, "validation"), (0, "test")):
        log, truth, joined = _block(replace(shop, days=1), LAST_DAY - datetime.timedelta(days=ago), split)
        later.append(encode_lists(joined, log, space, shop.list_length))
    joint = {
        name: torch.cat([part.to_tensors()[name] for part in training]) for name in training[0].to_tensors()
    }
    return Requests.from_tensors(joint), *later, truth, space


def _block(
    shop: ShopConfig, last: datetime.date, split: str
) -> tuple[FeatureTables, ClickTruth, pd.DataFrame]:
    log, truth = simulate_request_log(shop, last)
    ids = log.requests["request_id"].to_numpy(np.int64)
    role = np.where(uniform_hash(ids, 0) < EXTERNAL_SHARE, "external", "mining")
    splits = pd.DataFrame({"request_id": ids, "split": split, "role": role})
    return log.feature_tables(), truth, join_lists(log.requests, log.candidates, log.exposures, splits)


def _utility(truth: ClickTruth, lists: Tensor) -> Any:
    return truth.utility(lists.numpy()[:, None])[:, 0]


@torch.no_grad()
def _loss(evaluator: Evaluator, test: Requests) -> float:
    measure = EvaluatorLoss(evaluator.members[0])
    parts = [measure(evaluator.members[0], batch) * len(batch) for batch in test.batches(1000)]
    return float(sum(parts)) / len(test)


def _loss_of_truth(truth: ClickTruth, test: Requests) -> float:
    clicked = truth.select(test.request_id.tolist()).click_probabilities(test.exposed.numpy()[:, None])[:, 0]
    return float(slot_click_loss(torch.from_numpy(clicked).logit(), test.clicks, test.exposed_mask))


def draw(rows: list[Row], path: Path = PICTURE) -> None:
    """Draws regret removed by days and by exploration, and the loss beside the true model's."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    table = pd.DataFrame(rows)
    unseen = table[table["shop_seed"].isin(UNSEEN)]
    table = table[~table["passes"].gt(0)].sort_values(["days", "exploration"])
    transformer = table[table["head"] == "slot_clicks"]
    by_days = transformer[(transformer["exploration"] == EXPLORATION) & (transformer["ids"] == "none")]
    by_share = transformer[(transformer["days"] == DAYS) & (transformer["ids"] == "none")]
    company = table[table["head"] == "company"]
    curves = {
        "Transformer, B = 8": by_days,
        "and ids": transformer[transformer["ids"] == "inside"],
        "company, B = 32": company[company["ids"] == "none"],
        "and additive ids": company[company["ids"] == "additive"],
    }
    curves = {label: part for label, part in curves.items() if len(part)}
    with mpl.rc_context({"svg.hashsalt": "log_size"}):
        figure, axes = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
        for label, part in curves.items():
            _with_intervals(axes[0], part["days"], part, label)
        if len(unseen):
            _with_intervals(axes[0], unseen["days"], unseen, "with factors, five other shops")
        axes[0].set(xscale="log", xlabel="logged days of 10,000 requests", ylabel="regret removed, in truth")
        axes[0].legend()
        for label, part in curves.items():
            axes[1].plot(part["days"], part["loss"], marker="o", label=label)
        axes[1].plot(by_days["days"], by_days["loss_of_truth"], linestyle=":", label="true model")
        axes[1].set(xscale="log", xlabel="logged days of 10,000 requests", ylabel="loss on later clicks")
        axes[1].legend()
        _with_intervals(axes[2], by_share["exploration"], by_share, "10 days")
        axes[2].set(xlabel="share of requests shown a random list", ylabel="regret removed, in truth")
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _with_intervals(panel: Any, at: pd.Series, part: pd.DataFrame, label: str) -> None:
    errors = [part["regret_removed"] - part["low"], part["high"] - part["regret_removed"]]
    panel.errorbar(at, part["regret_removed"], yerr=errors, marker="o", capsize=2, label=label)


def _settings() -> Settings:
    bootstrap_project(PROJECT)
    with KedroSession.create(project_path=PROJECT) as session:
        parameters = session.load_context().params
    training = parameters["evaluator_training"]
    return Settings(
        parameters["ingestion"]["simulated_shop"],
        parameters["list_building"]["fields"],
        training.model.single,
        training.training,
        parameters["mining"]["search"],
        parameters["generator_distillation"],
    )


def _missing(rows: list[Row], most_days: int) -> Iterator[Point]:
    known = [row.items() for row in rows]
    for point in POINTS:
        if point.days <= most_days and not any(vars(point).items() <= row for row in known):
            yield point


def main() -> None:
    """Measures the points that are missing, stores each at once, and draws them all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most-days", type=int, default=100, help="leave out longer logs (300 takes 8 GB)")
    most_days = parser.parse_args().most_days
    rows: list[Row] = json.loads(ROWS.read_text()) if ROWS.exists() else []
    settings = _settings()
    for point in _missing(rows, most_days):
        rows.append(measure(point, settings))
        print(json.dumps(rows[-1]), flush=True)
        ROWS.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
        draw(rows)


if __name__ == "__main__":
    main()
