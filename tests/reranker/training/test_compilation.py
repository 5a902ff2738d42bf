import logging

import pytest
import torch

from degre_pipeline.reranker.models.transformer import TransformerLayer
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.training import compilation
from degre_pipeline.reranker.training.compilation import (
    WORTH_COMPILING,
    compiled_ahead,
    fuse_steps,
    has_compiler,
    step_work,
)

CPU = torch.device("cpu")


@pytest.mark.skipif(not has_compiler(CPU), reason="no C++ compiler")
def test_compiled_steps_find_the_same_lists(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(4, n=7, slots=4, real=[7, 6, 5, 7]), make_evaluator(4)
    plain = beam_search(evaluator, requests, beam_size=3)
    fuse_steps(evaluator, "on", 0.0)
    fused = beam_search(evaluator, requests, beam_size=3)

    assert evaluator.layer_step is not TransformerLayer.step
    assert torch.equal(fused.sequences, plain.sequences)
    assert torch.allclose(fused.values, plain.values, atol=1e-6)


def test_without_a_compiler_the_search_stays_plain_and_says_so(make_evaluator, monkeypatch, caplog) -> None:
    monkeypatch.setattr(compilation.shutil, "which", lambda name: None)
    evaluator = make_evaluator()
    with caplog.at_level(logging.WARNING):
        fuse_steps(evaluator, "on", 0.0)

    assert evaluator.layer_step is TransformerLayer.step
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("switch", "work", "compiles"),
    [("off", 1e20, False), ("auto", WORTH_COMPILING / 2, False), ("auto", 2 * WORTH_COMPILING, True)],
)
def test_auto_compiles_where_there_is_enough_to_do(make_evaluator, monkeypatch, switch, work, compiles):
    monkeypatch.setattr(compilation, "has_compiler", lambda device: True)
    monkeypatch.setattr(compilation.torch, "compile", lambda step, dynamic: "compiled")
    evaluator = make_evaluator()
    fuse_steps(evaluator, switch, work)

    assert (evaluator.layer_step == "compiled") == compiles


def test_work_of_a_step_counts_the_matrix_products(make_evaluator) -> None:
    # Width 8, feed-forward 16, two layers, head 8-8-4, a product of a and b wide being 2 a b operations.
    layer = 8 * 24 + 8 * 8 + 8 * 16 + 16 * 8

    assert step_work(make_evaluator(4)) == 2 * (2 * layer + 8 * 8 + 8 * 4)


@pytest.mark.slow
@pytest.mark.skipif(not has_compiler(CPU), reason="no C++ compiler")
@pytest.mark.filterwarnings(
    "ignore:.*LeafSpec:FutureWarning", "ignore:TypedStorage is deprecated:UserWarning"
)
def test_a_decode_compiled_ahead_gives_the_same_list(make_requests, make_generator, tmp_path) -> None:
    requests, generator = make_requests(1, n=5, slots=2), make_generator(2, layers=1).float()
    inputs = requests.static, requests.candidates, requests.mask
    sequences, log_probabilities = generator.greedy_decode(*inputs)
    run = compiled_ahead(generator, generator.greedy_decode, inputs, tmp_path / "decode.pt2")
    found, probable = run(*inputs)

    assert torch.equal(found, sequences)
    assert torch.allclose(probable, log_probabilities, atol=1e-5)
