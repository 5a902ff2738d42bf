"""The judges, which say what a list is worth: evaluators, and the truth of the simulated shop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.reranker.metrics import DECIMALS, discounted_gain, discounts
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.valuation import list_prefix_values
from degre_pipeline.simulation.click_world import ClickTruth, FloatArray, IntArray
from degre_pipeline.simulation.optimum import best_lists

Values = FloatArray


class Judge(Protocol):
    """Values lists by the expected clicks of each prefix."""

    @property
    def name(self) -> str:
        """How the judge is called in the results."""

    def prefix_values(self, requests: Requests, sequences: Tensor) -> Values:
        """Returns expected clicks up to each slot, [b, s, t], of lists [b, s, t]."""


@dataclass(frozen=True)
class EvaluatorJudge:
    """A trained evaluator."""

    name: str
    evaluator: Evaluator

    def prefix_values(self, requests: Requests, sequences: Tensor) -> Values:
        """Returns expected clicks up to each slot, [b, s, t], of lists [b, s, t]."""
        device = next(self.evaluator.parameters()).device
        values = list_prefix_values(self.evaluator, requests.to(device), sequences.to(device))
        return values.double().cpu().numpy()


@dataclass(frozen=True)
class TruthJudge:
    """The true click model of the simulated shop."""

    truth: ClickTruth
    name: str = names.TRUTH

    def prefix_values(self, requests: Requests, sequences: Tensor) -> Values:
        """Returns expected clicks up to each slot, [b, s, t], of lists [b, s, t]."""
        truth = self.truth.select(requests.request_id.tolist())
        values: Values = truth.click_probabilities(sequences.numpy()).cumsum(-1)
        return values


def prefix_values(judge: Judge, requests: Requests, sequences: Tensor, batch_size: int) -> Values:
    """Returns expected clicks up to each slot, [b, s, t], of lists [b, s, t]; some requests at once."""
    return np.concatenate(
        [
            judge.prefix_values(requests.select(rows), sequences[rows])
            for rows in torch.arange(len(requests)).split(batch_size)
        ]
    )


def values_of_lists(judge: Judge, requests: Requests, lists: Tensor, batch_size: int) -> Values:
    """Returns a judge's value of one list of each request, [b], rounded as all values that are compared.

    Args:
        judge: Of these requests.
        requests: b requests.
        lists: Candidate indices, [b, t]; -1 at the end of shorter lists.
        batch_size: Lists valued together.
    """
    values: Values = prefix_values(judge, requests, lists[:, None], batch_size)[:, 0, -1].round(DECIMALS)
    return values


@dataclass(frozen=True)
class Optimum:
    """The true best lists: their sequences [b, t], utility [b] and best discounted gain [b]."""

    sequences: IntArray
    utility: Values
    discounted_gain: Values


def true_optimum(truth: ClickTruth, list_length: int) -> Optimum:
    """Returns the exact best list of every request, and the largest discounted gain that any list reaches."""
    sequences, utility = best_lists(truth, list_length)
    _, gain = best_lists(truth, list_length, discount=discounts(list_length))
    return Optimum(sequences, utility, gain)


def true_ndcg(prefix_values: Values, optimum: Optimum) -> Values:
    """Returns the discounted true click probabilities of lists over the best reachable, [b].

    Args:
        prefix_values: True expected clicks up to each slot, [b, t].
        optimum: Of the same requests.
    """
    gains = np.diff(prefix_values, axis=1, prepend=0.0)
    ratio: Values = discounted_gain(gains) / optimum.discounted_gain
    return ratio


def truth_or_none(click_truth: Mapping[str, Tensor], requests: Requests) -> ClickTruth | None:
    """Returns the true click model of the requests, in their order; None where it is not known."""
    return ClickTruth.from_tensors(click_truth).select(requests.request_id.tolist()) if click_truth else None


def draw_requests(requests: Requests, most: int, seed: int) -> Requests:
    """Returns at most so many requests, drawn at random; 0 returns all, in random order."""
    order = torch.randperm(len(requests), generator=torch.Generator().manual_seed(seed))
    return requests.select(order[: most or len(requests)])
