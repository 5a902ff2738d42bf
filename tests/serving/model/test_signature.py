from dataclasses import replace

import pytest
from mlflow.types import DataType
from mlflow.types.schema import AnyType, Map

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.request_schema import Request, RequestSchema
from degre_pipeline.serving.model.signature import as_record, request_signature, type_of


def properties_of(column):
    return {each.name: (each.dtype, each.required) for each in column.properties}


def test_parts_have_their_fields_with_the_types_of_real_requests(space, requests):
    columns = request_signature(RequestSchema.of(space), requests).inputs.input_dict()
    assert list(columns) == ["request_id", "user", "context", "candidates"]
    assert (columns["request_id"].type, columns["request_id"].required) == (DataType.long, False)
    assert properties_of(columns["user"].type) == {
        "segment": (DataType.string, False),
        "age": (AnyType(), False),
    }
    assert properties_of(columns["context"].type) == {"weekday": (DataType.long, False)}
    assert properties_of(columns["candidates"].type.dtype) == {
        "item_id": (DataType.long, True),
        "category": (DataType.string, False),
        "genres": (DataType.string, False),
        "price": (AnyType(), False),
        "ranking_score": (AnyType(), True),
    }


def test_ids_may_be_texts_and_an_item_id_may_be_a_feature_too():
    space = FeatureSpace((Field("item_id", "categorical", "item"),), {"item_id": ("a", "b")}, {})
    signature = request_signature(
        RequestSchema.of(space), [Request([{"item_id": "a"}], {}, {}, request_id="x")]
    )
    columns = signature.inputs.input_dict()
    assert properties_of(columns["candidates"].type.dtype) == {"item_id": (DataType.string, True)}
    assert (columns["user"].type, columns["user"].required) == (Map(AnyType()), False)
    assert columns["request_id"].type == DataType.string
    assert signature.outputs.input_dict()["item_ids"].type.dtype == DataType.string


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, None, 2], DataType.long),
        (["a", "b"], DataType.string),
        ([True, False], DataType.boolean),
        ([1, "a"], AnyType()),
        ([1.5], AnyType()),
        ([None], AnyType()),
        ([], AnyType()),
    ],
)
def test_type_is_the_one_all_values_have(values, wanted):
    assert type_of(values) == wanted


def test_record_is_a_copy_without_an_absent_id(requests):
    record = as_record(replace(requests[0], request_id=None))
    assert list(record) == ["user", "context", "candidates"]
    record["candidates"][0]["price"] = 99
    assert requests[0].candidates[0]["price"] == 3
