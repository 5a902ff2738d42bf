"""What independent judges say that the lists of both versions are worth."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.judges import (
    EvaluatorJudge,
    Judge,
    TruthJudge,
    Values,
    truth_or_none,
    values_of_lists,
)
from degre_pipeline.release.gate.evidence import Evidence, Judged, VersionFacts
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.training.loop import choose_device

Lists = Sequence[Sequence[int]]
RankedLists = tuple[Lists, Collection[int]]
"""Lists of a version, and the rows of the invalid ones."""

USERS = ("new", "old")


def independent_judges(
    external_evaluator: TrainedWeights,
    click_truth: Mapping[str, Tensor],
    requests: Requests,
    config: GateConfig,
) -> list[Judge]:
    """Returns the judges of the requests: the truth where it is known, and the external evaluator."""
    evaluator = restore_evaluator(external_evaluator).to(choose_device(config.device))
    truth = truth_or_none(click_truth, requests)
    return [*([TruthJudge(truth)] if truth else []), EvaluatorJudge(names.EXTERNAL, evaluator)]


def judged_lists(
    requests: Requests,
    ranked: Mapping[str, RankedLists],
    judges: Sequence[Judge],
    batch_size: int,
) -> pd.DataFrame:
    """Returns request_id, judge and a column a version: expected clicks, NaN where there is no valid list.

    The lists of a request are cut to the slots that all fill, so that none wins by its length.

    Args:
        requests: Of the slice.
        ranked: By version its lists and the rows of the invalid ones; no lists where there is none.
        judges: Of the same requests.
        batch_size: Lists valued together.
    """
    shortest = [
        min(map(len, indices))
        for indices in zip(*(lists for lists, _ in ranked.values() if lists), strict=True)
    ]
    sequences = {
        version: as_sequences(
            [indices[:most] for indices, most in zip(lists or [()] * len(requests), shortest, strict=True)],
            invalid,
            requests.list_length,
        )
        for version, (lists, invalid) in ranked.items()
    }
    frames = [
        pd.DataFrame(
            {
                "request_id": requests.request_id.numpy(),
                "judge": judge.name,
                **{
                    version: _valued(judge, requests, lists, batch_size)
                    for version, lists in sequences.items()
                },
            }
        )
        for judge in judges
    ]
    return pd.concat(frames, ignore_index=True)


def as_sequences(lists: Lists, invalid: Collection[int], list_length: int) -> Tensor:
    """Returns candidate indices [b, L], -1 at the end of shorter lists and in all of an invalid one."""
    sequences = torch.full((len(lists), list_length), -1)
    for row, indices in enumerate(lists):
        if row not in invalid:
            filled = torch.tensor(list(indices[:list_length]), dtype=torch.int64)
            sequences[row, : len(filled)] = filled
    return sequences


def _valued(judge: Judge, requests: Requests, sequences: Tensor, batch_size: int) -> Values:
    empty = (sequences < 0).all(1).numpy()
    if empty.all():
        return np.full(len(sequences), np.nan)
    values: Values = np.where(empty, np.nan, values_of_lists(judge, requests, sequences, batch_size))
    return values


def evidence_of(
    gate_slice: Mapping[str, Any],
    judgements: pd.DataFrame,
    facts: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
) -> Evidence:
    """Returns the evidence of the rules, put together from the catalog's datasets."""
    by_judge = {str(judge): part for judge, part in judgements.groupby("judge", sort=False)}
    any_judge = next(iter(by_judge.values()))
    opponents = ("champion", "reference")
    versions = {name: None if facts[name] is None else VersionFacts(**facts[name]) for name in opponents}

    def values(part: pd.DataFrame, name: str) -> Values | None:
        return None if versions[name] is None else part[name].to_numpy()

    return Evidence(
        slice_first_day=gate_slice["first_day"],
        challenger=VersionFacts(**facts["challenger"]),
        **versions,
        differing_lists=facts["differing_lists"],
        differing_shapes=facts["differing_shapes"],
        outdated_lists=facts["outdated_lists"],
        judged={
            judge: Judged(part["challenger"].to_numpy(), values(part, "champion"), values(part, "reference"))
            for judge, part in by_judge.items()
        },
        user=any_judge["user"].to_numpy(np.int64),
        users={group: (any_judge["users"] == group).to_numpy(np.bool_) for group in USERS},
        reservations=facts["reservations"],
        figures=metrics,
    )
