import pytest
import torch
from torch import Tensor

from degre_pipeline.reranker.fingerprints import (
    ENCODING,
    SEARCHED,
    check_encoding,
    encoding_of,
    encoding_tensor,
    fingerprint,
    mined_from,
)
from degre_pipeline.reranker.models.stored_models import TrainedWeights

SPACE = {"fields": ["category"], "edges": {}, "vocabularies": {"category": ["a", "b"]}}


def trained(encoding: str) -> TrainedWeights:
    return TrainedWeights({}, {"model": "evaluator", ENCODING: encoding})


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


def test_mining_depends_on_what_the_search_reads_alone() -> None:
    requests = {name: torch.arange(3) for name in (*SEARCHED, "clicks", "exposed")}
    weights = {"w": torch.ones(2)}
    expected = mined_from(requests, weights)

    assert mined_from(requests | {"clicks": torch.zeros(3)}, weights) == expected
    assert mined_from(requests | {"scores": torch.zeros(3)}, weights) != expected
    assert mined_from(requests, {"w": torch.zeros(2)}) != expected


def test_weights_of_another_feature_space_are_refused() -> None:
    tensors = {ENCODING: encoding_tensor(SPACE)}
    other = encoding_of({ENCODING: encoding_tensor(SPACE | {"edges": {"price": [1.0]}})})

    check_encoding(trained(encoding_of(tensors)), tensors)
    with pytest.raises(ValueError, match=f"'{other[:12]}', but the requests are encoded with"):
        check_encoding(trained(other), tensors)
