from dataclasses import replace

import pytest
import torch
from torch import Tensor

from degre_pipeline.reranker.fingerprints import (
    check_encoding,
    fingerprint,
    mined_from,
)
from degre_pipeline.reranker.models.stored_models import TrainedWeights


def test_a_fingerprint_knows_names_values_shapes_and_types_but_no_order() -> None:
    one, other = torch.arange(4.0), torch.ones(2, dtype=torch.bool)
    expected = fingerprint({"a": one, "b": other})

    assert fingerprint({"b": other, "a": one}) == expected
    changes: list[dict[str, Tensor]] = [
        {"a": one, "c": other},
        {"a": one + 1, "b": other},
        {"a": one.view(2, 2), "b": other},
        {"a": one.view(torch.int32), "b": other},
        {"a": one[:0], "b": other},
    ]
    assert expected not in {fingerprint(changed) for changed in changes}


def test_mining_depends_on_what_the_search_reads_alone(make_requests) -> None:
    requests, weights = make_requests(3), {"w": torch.ones(2)}
    expected = mined_from(requests, weights)

    assert mined_from(replace(requests, clicks=1 - requests.clicks), weights) == expected
    assert mined_from(replace(requests, scores=requests.scores + 1), weights) != expected
    assert mined_from(requests, {"w": torch.zeros(2)}) != expected


def test_weights_of_another_feature_space_are_refused() -> None:
    one, other = "1" * 64, "2" * 64
    trained = TrainedWeights({}, {"model": "evaluator", "feature_space": one})

    check_encoding(trained, one)
    with pytest.raises(ValueError, match=f"'{one[:12]}', but the requests are encoded with '{other[:12]}'"):
        check_encoding(trained, other)
