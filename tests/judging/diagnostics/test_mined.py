from dataclasses import replace

import pytest
import torch
from diagnosed import CONFIG, WrittenJudge, figure

from degre_pipeline.judging.diagnostics.generator_gap import distillation_rows
from degre_pipeline.judging.diagnostics.mined import beam_size_rows, epoch_rows, mine_with_beams
from degre_pipeline.judging.judges import EvaluatorJudge
from degre_pipeline.reranker.distillation_gap import step_gap
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import restore_evaluator, store
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.mining_config import MiningConfig

SEARCH = MiningConfig(strategy="diverse_beam", beam_size=3, device="cpu")


@pytest.fixture
def miner(sizes):
    torch.manual_seed(1)
    config = EvaluatorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=8)
    return store(build_evaluator(sizes, 4, config), sizes, 4, config)


def test_beams_are_plain_and_of_every_size(miner, make_requests) -> None:
    requests = make_requests(3, real=[8, 1, 4])
    found = mine_with_beams(miner, requests, [4, 1], SEARCH)

    assert list(found) == [1, 4]
    plain = beam_search(restore_evaluator(miner), requests, beam_size=4).sequences
    assert torch.equal(found[4], plain)
    assert found[4][1].tolist() == [[0, -1, -1, -1]] + [[-1] * 4] * 3


def test_wider_beams_are_worth_more_to_the_miner(miner, make_requests) -> None:
    requests = make_requests(5)
    found = mine_with_beams(miner, requests, [1, 64], SEARCH)
    judges = [
        WrittenJudge("truth", lambda items: 0.1 * items),
        EvaluatorJudge("mining", restore_evaluator(miner)),
    ]
    rows = beam_size_rows(requests, found, judges, CONFIG)

    narrow, wide = (figure(rows, "value_by_beam_size", "beam", "mining", at=at) for at in (1, 64))
    assert wide >= narrow
    truth = figure(rows, "value_by_beam_size", "beam", "truth", at=64)
    assert truth == pytest.approx(float(found[64][:, 0].sum(1).double().mean()) / 10)
    assert figure(rows, "optimism_by_beam_size", "beam", "truth", at=64) == pytest.approx(wide - truth)


def test_epochs_by_hand(make_requests) -> None:
    requests = make_requests(2, slots=2)
    mined = {
        "request_id": requests.request_id,
        "sequences": torch.tensor([[[0, 1], [2, 3]], [[4, 5], [6, -1]]], dtype=torch.int8),
        "values": torch.tensor([[2.0, 6.0], [10.0, 10.0]]),
    }
    rows = epoch_rows(requests, mined, [WrittenJudge("external", lambda items: items)], CONFIG)

    assert [figure(rows, "value_by_epoch", "beam", "external", at=at) for at in (1, 2)] == [3, 7.5]
    assert [figure(rows, "value_by_epoch", "beam", "mining", at=at) for at in (1, 2)] == [4, 10]
    assert [figure(rows, "optimism_by_epoch", "beam", "external", at=at) for at in (1, 2)] == [1, 2.5]


def test_the_gap_by_slot_is_the_mean_over_all_batches(make_evaluator, make_generator, make_requests) -> None:
    evaluator, generator, requests = make_evaluator(4), make_generator(4), make_requests(5)
    own = generator.greedy_decode(requests.static, requests.candidates, requests.mask)[0]
    teacher = beam_search(evaluator, requests, beam_size=3).sequences[:, 0]
    lists = {"teacher": teacher, "own": own}
    rows = distillation_rows(generator, evaluator, requests, **lists, search=SEARCH, config=CONFIG)
    whole = distillation_rows(
        generator, evaluator, requests, **lists, search=SEARCH, config=replace(CONFIG, batch_size=9)
    )
    gap = step_gap(generator, evaluator, requests, **lists, beam_size=3)

    assert [row["value"] for row in rows] == pytest.approx([row["value"] for row in whole])
    for slot in range(1, 5):
        expected = [float(part[:, slot - 1].mean()) for part in vars(gap).values()]
        found = [
            figure(rows, "choice_agreement", "teachers_prefix", "mining", at=slot),
            figure(rows, "choice_agreement", "own_prefix", "mining", at=slot),
            figure(rows, "value_lost", "own_prefix", "mining", at=slot),
        ]
        assert found == pytest.approx(expected, abs=1e-6)
