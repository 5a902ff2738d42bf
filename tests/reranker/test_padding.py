"""Padding reaches no list, whoever makes it."""

import pytest
import torch

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.names import SUBJECTS
from degre_pipeline.judging.subjects import lists_of_subjects
from degre_pipeline.reranker.models.generator import Decoding
from degre_pipeline.reranker.search.mining_config import MiningConfig


@pytest.mark.parametrize(("subject", "beam_size"), [*((one, 1) for one in SUBJECTS), ("generator", 3)])
def test_no_list_holds_a_padded_candidate(
    make_requests, make_evaluator, make_generator, subject: str, beam_size: int
) -> None:
    requests = make_requests(3, n=12, slots=6, real=[8, 4, 12])
    config = EvaluationConfig(batch_size=2, device="cpu")
    lists = lists_of_subjects(
        requests, Decoding(make_generator(6), beam_size), make_evaluator(6), MiningConfig(beam_size=2), config
    )[subject]
    eight, four, twelve = lists.tolist()

    assert set(eight) <= set(range(8))
    assert len(set(eight)) == 6
    assert sorted(four[:4]) == [0, 1, 2, 3]
    assert four[4:] == [-1, -1]
    assert set(twelve) <= set(range(12))
    assert len(set(twelve)) == 6


def test_the_ranking_order_is_by_score(make_requests, make_evaluator, make_generator) -> None:
    requests = make_requests(1, n=6, slots=3, real=[5])
    requests.scores[:] = torch.tensor([[-3.0, -1.0, -2.0, -1.0, -9.0, 0.0]])
    config = EvaluationConfig(device="cpu")
    lists = lists_of_subjects(
        requests, Decoding(make_generator(3)), make_evaluator(3), MiningConfig(), config
    )

    assert lists["ranking_order"].tolist() == [[1, 3, 2]]
