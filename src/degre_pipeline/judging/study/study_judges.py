"""The judges: two ensembles alike, two of the paper's single evaluator, one of another family, the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from degre_pipeline.judging.judges import EvaluatorJudge, Judge, TruthJudge, Values, truth_or_none
from degre_pipeline.judging.names import BIDIRECTIONAL, EXTERNAL, PAPER_LIKE, SECOND, SECOND_PAPER_LIKE
from degre_pipeline.judging.study.study_config import StudyConfig
from degre_pipeline.reranker.baselines.nlgr_evaluator import (
    NlgrEvaluator,
    NlgrEvaluatorConfig,
    nlgr_evaluator_loss,
    restore_nlgr_evaluator,
    store_nlgr_evaluator,
)
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import ROLES, FieldSize
from degre_pipeline.reranker.training.loop import choose_device, fit, seeded
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints

TRAINED = (EXTERNAL, SECOND, PAPER_LIKE, SECOND_PAPER_LIKE, BIDIRECTIONAL)
"""The trained judges."""


def train_judges(
    requests: Requests,
    study: StudyConfig,
    *,
    sizes: Sequence[FieldSize],
    evaluator: EvaluatorConfig,
    training: TrainingConfig,
    encoding: str,
    checkpoints: Checkpoints | None = None,
) -> dict[str, TrainedWeights]:
    """Returns the judges by the names of `TRAINED`.

    All but the paper-like ones learn from requests that no miner learns from. Those are single evaluators
    of the paper's form and of other seeds, from all training requests, as the paper's most likely was.
    """
    external, check = requests.of("train", EXTERNAL), requests.of("validation", EXTERNAL)
    ensemble = replace(evaluator.single, members=study.judge_members)
    single = replace(evaluator.single, head="cumulative")
    every, held_out_of_every = requests.of("train"), requests.of("validation")
    judges = [
        train_evaluator(
            learn,
            held_out,
            sizes=sizes,
            config=config,
            training=replace(training, seed=study.judge_seed + offset),
            name=f"study_{name}",
            encoding=encoding,
            checkpoints=checkpoints,
        )[0]
        for offset, (name, config, learn, held_out) in enumerate(
            [
                (EXTERNAL, ensemble, external, check),
                (SECOND, ensemble, external, check),
                (PAPER_LIKE, single, every, held_out_of_every),
                (SECOND_PAPER_LIKE, single, every, held_out_of_every),
            ]
        )
    ]
    config = NlgrEvaluatorConfig(id_dropout=evaluator.id_dropout)
    bidirectional = _train_bidirectional(
        external, check, sizes, config, replace(training, seed=study.judge_seed)
    )
    stored = store_nlgr_evaluator(bidirectional, sizes, requests.list_length, config, encoding)
    return dict(zip(TRAINED, [*judges, stored], strict=True))


def _train_bidirectional(
    learn: Requests,
    check: Requests,
    sizes: Sequence[FieldSize],
    config: NlgrEvaluatorConfig,
    training: TrainingConfig,
) -> NlgrEvaluator:
    with seeded(training.seed):
        model = NlgrEvaluator(sizes, learn.list_length, config)
    fit(model, nlgr_evaluator_loss, learn, check, training, label="study bidirectional")
    return model


@dataclass(frozen=True)
class BidirectionalJudge:
    """An evaluator that knows whole lists only: a slot's value is its click, given the whole list."""

    name: str
    evaluator: NlgrEvaluator

    @torch.no_grad()
    def prefix_values(self, requests: Requests, sequences: Tensor) -> Values:
        """Returns expected clicks up to each slot of the whole list, [b, s, t], of lists [b, s, t]."""
        device = next(self.evaluator.parameters()).device
        clicks = self.evaluator.list_clicks(requests.to(device), sequences.to(device))
        values: Values = clicks.double().cumsum(-1).cpu().numpy()
        return values


def judges_of(
    trained: Mapping[str, TrainedWeights],
    click_truth: Mapping[str, Tensor],
    requests: Requests,
    device_name: str,
) -> list[Judge]:
    """Returns all judges of some requests; the truth is among them where it is known."""
    device = choose_device(device_name)
    judges: list[Judge] = [
        BidirectionalJudge(name, restore_nlgr_evaluator(weights).to(device))
        if name == BIDIRECTIONAL
        else EvaluatorJudge(name, restore_evaluator(weights).to(device))
        for name, weights in trained.items()
    ]
    truth = truth_or_none(click_truth, requests)
    return [*judges, *([TruthJudge(truth)] if truth else [])]


def check_apart(requests: Requests) -> None:
    """Raises ValueError if a request trains both the miners and their judges.

    Roles are stored with the requests; two rows of one request would let one request have both.
    """
    miners, judges = (requests.of("train", role).request_id for role in ROLES)
    shared = miners[torch.isin(miners, judges)]
    if len(shared):
        raise ValueError(
            f"{len(shared)} of the {len(judges)} requests that train the judges also train the miners, "
            f"such as {int(shared[0])}; allowed: none. "
            "Build the lists again: kedro run --pipeline=list_building"
        )
