"""A small shop whose untrained generators are registered, and the gate's nodes on them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mlflow
import pandas as pd
from torch import Tensor

from degre_pipeline.pipelines.gate.nodes import (
    decide_promotion,
    freeze_slice,
    gather_facts,
    judge_versions,
    rank_slice,
    record_decision,
    write_gate_report,
)
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.release.promotion import promote
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_generator
from small_run import RUN
from small_shop import Shop, register_shop

FIGURES = [
    {"subject": model, "judge": "clicks", "metric": "pcoc", "value": 1.0, "low": None, "high": None}
    for model in ("external_evaluator", "mining_evaluator")
] + [
    {"subject": "generator", "judge": judge, "metric": metric, "value": 0.5, "low": 0.4, "high": 0.6}
    for judge in ("truth", "external")
    for metric in ("hr1", "utility_over_ranking_order", "utility_over_exposed")
]
FIGURES += [
    {"subject": subject, "judge": judge, "metric": metric, "value": 0.95, "low": 0.95, "high": 0.95}
    for subject, judge, metric in (
        *((s, j, "utility") for s in ("beam", "exposed") for j in ("mining", "external", "truth")),
        ("exposed", "external", "utility_over_random"),
        ("generator", "logged_clicks", "supported_slots"),
        ("generator", "logged_clicks", "order_over_shown"),
    )
]


@dataclass(frozen=True)
class Gate:
    """The gate's nodes, one after another, on one shop."""

    shop: Shop
    external_evaluator: TrainedWeights
    click_truth: dict[str, Tensor]
    settings: GateConfig

    def register(self, shop: Shop, run_date: str = "2026-01-31") -> dict[str, Any]:
        evaluator = self.external_evaluator
        return register_shop(
            shop,
            metrics=FIGURES,
            mining_evaluator=evaluator,
            external_evaluator=evaluator,
            run_date=run_date,
        )

    def serve(self, registered: dict[str, Any]) -> None:
        """Makes a registered version the champion, whatever the gate says of it."""
        name, version = registered["name"], registered["version"]
        promote(mlflow.MlflowClient(), name, version, who="ann", why="to begin with", force=True)

    def slice_of(self, shop: Shop) -> dict[str, Any]:
        return freeze_slice(shop.lists, shop.feature_tables, self.settings)

    def evaluated_lists(self, shop: Shop) -> dict[str, Tensor]:
        """Returns the generator's lists of some test requests, as the evaluation stores them."""
        some = shop.encoded.of("test").select(slice(0, 10))
        lists, _ = restore_generator(shop.generator).greedy_decode(some.static, some.candidates, some.mask)
        return {"request_id": some.request_id, "generator": lists}

    def judge(
        self, shop: Shop, registered: dict[str, Any], **changed: Any
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        given = {
            "gate_slice": self.slice_of(shop),
            "registered_model": registered,
            **{name: value for name, value in vars(shop).items() if name != "feature_space"},
            "external_evaluator": self.external_evaluator,
            "click_truth": self.click_truth,
            "evaluated_lists": self.evaluated_lists(shop),
            "config": self.settings,
            **changed,
        }
        given["gate_lists"], given["version_facts"] = called(rank_slice, given)
        given["gate_judgements"] = called(judge_versions, given)
        return given["gate_judgements"], called(gather_facts, given)

    def decide(self, shop: Shop, registered: dict[str, Any], **changed: Any) -> dict[str, Any]:
        judgements, facts = self.judge(shop, registered, **changed)
        return self.decide_on(self.slice_of(shop), judgements, facts, registered)

    def decide_on(
        self,
        gate_slice: dict[str, Any],
        judgements: pd.DataFrame,
        facts: dict[str, Any],
        registered: dict[str, Any],
    ) -> dict[str, Any]:
        return decide_promotion(gate_slice, judgements, facts, FIGURES, registered, self.settings)

    @staticmethod
    def found(decision: dict[str, Any], rule: str) -> list[dict[str, Any]]:
        return [finding for finding in decision["findings"] if finding["rule"] == rule]

    def pass_through(self, shop: Shop, registered: dict[str, Any], **changed: Any) -> dict[str, Any]:
        """Returns what the last node returns."""
        return self.record(self.decide(shop, registered), registered, **changed)

    def record(self, decision: dict[str, Any], registered: dict[str, Any], **changed: Any) -> dict[str, Any]:
        report = write_gate_report(decision, {"last_day": "2026-01-31"}, RUN)
        return record_decision(decision, report, registered, replace(self.settings, **changed), RUN)


def called(node: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Returns what a node makes of those of the given inputs that it takes."""
    return node(**{name: given[name] for name in inspect.signature(node).parameters})
