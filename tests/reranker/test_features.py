import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degre_pipeline.reranker.features import FeatureSpace, fit_feature_space
from degre_pipeline.reranker.schema import Field

CATEGORY = Field("category", "categorical", "item")
TAGS = Field("genres", "tags", "item", size=2)
PRICE = Field("price", "numeric", "item", size=4)


def space_of(field: Field, values: list[object]) -> FeatureSpace:
    return fit_feature_space([field], {field.name: values})


def encoded(field: Field, training: list[object], values: list[object]) -> list[object]:
    return space_of(field, training).encode(field.name, values)[..., 0].tolist()


def test_known_values_count_from_one_and_everything_else_is_zero() -> None:
    assert encoded(CATEGORY, ["b", "a", "b"], ["a", "b", "c", None, float("nan"), ""]) == [1, 2, 0, 0, 0, 0]


def test_a_missing_training_value_takes_no_index() -> None:
    assert space_of(CATEGORY, ["a", None, float("nan"), ""]).sizes()[0].indices == 2


@pytest.mark.parametrize("trained", [12, 12.0, "12", np.int64(12), np.float32(12)])
def test_an_id_is_the_same_as_whole_number_float_and_text(trained: object) -> None:
    assert encoded(CATEGORY, [trained], [12, 12.0, "12", np.int32(12), 12.5]) == [1, 1, 1, 1, 0]


def test_a_space_of_an_earlier_version_keeps_its_indices_for_truth_values() -> None:
    earlier = FeatureSpace((CATEGORY,), {"category": ("False", "True")}, {})
    assert earlier.encode("category", [True, False, "true", "False"])[:, 0].tolist() == [2, 1, 2, 1]

    later = fit_feature_space([CATEGORY], {"category": [True, "new"]}, earlier)

    assert later.vocabularies["category"] == ("False", "True", "new")


def test_a_column_of_short_floats_has_the_tokens_of_its_digits() -> None:
    space = space_of(CATEGORY, np.array([0.1, 2.0], dtype=np.float32))
    assert space.vocabularies["category"] == ("0.1", "2")


def test_values_keep_their_shape() -> None:
    space = space_of(CATEGORY, ["a", "b"])

    assert space.encode("category", [["a", "b", "z"], ["b", "b", "a"]]).tolist() == [
        [[1], [2], [0]],
        [[2], [2], [1]],
    ]


def test_tags_keep_the_first_known_ones_and_fill_up_with_zero() -> None:
    space = space_of(TAGS, ["x|y", "z|x", ""])

    rows = space.encode("genres", ["z", "unseen|y|x|z", "x||y", "", None, "unseen"])

    assert rows.tolist() == [[3, 0], [2, 1], [1, 2], [0, 0], [0, 0], [0, 0]]
    assert (space.sizes()[0].columns, space.sizes()[0].indices) == (2, 4)


def test_numeric_buckets_are_the_quantiles_of_training_values() -> None:
    space = space_of(PRICE, [0, 1, 2, 3, 4])

    assert space.edges["price"] == (1.0, 2.0, 3.0)
    assert space.sizes()[0].indices == 5
    assert space.encode("price", [-9, 0.9, 1, 2.5, 3, 99, None, float("nan")])[:, 0].tolist() == [
        *(1, 1, 2, 3, 4, 4),
        *(0, 0),
    ]


def test_repeated_quantiles_make_fewer_buckets() -> None:
    assert space_of(PRICE, [5, 5, 5, 5, None]).sizes()[0].indices == 3


def test_infinite_training_values_do_not_become_edges() -> None:
    assert space_of(PRICE, [0, 1, 2, 3, 4, float("inf")]).edges["price"] == (1.0, 2.0, 3.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.lists(st.floats(allow_nan=True)))
def test_every_number_gets_an_index_that_was_counted(training: list[float], values: list[float]) -> None:
    space = space_of(PRICE, list(training))
    indices = space.encode("price", values)[:, 0]

    assert all(index < space.sizes()[0].indices for index in indices)
    assert [index == 0 for index in indices] == [bool(np.isnan(value)) for value in values]


def test_the_space_survives_json() -> None:
    values = {"category": [12, "a"], "genres": ["x|y"], "price": [0.5, 1.25, 3]}
    space = fit_feature_space([CATEGORY, TAGS, PRICE], values)

    assert FeatureSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        (CATEGORY, [None, ""], "field 'category' has no training value"),
        (TAGS, ["|", None], "field 'genres' has no training value"),
        (PRICE, [None, float("nan")], "field 'price' has no finite training value"),
        (PRICE, [1, "cheap"], "field 'price' is numeric, but a value is not a number.*cheap"),
    ],
)
def test_a_field_that_cannot_be_fitted_is_named(field: Field, values: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space_of(field, values)


def test_an_undeclared_field_is_named_with_the_declared_ones() -> None:
    with pytest.raises(KeyError, match=r"'colour' is not declared; declared: \['category'\]"):
        space_of(CATEGORY, ["a"]).encode("colour", ["red"])
