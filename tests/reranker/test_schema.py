import pytest

from degre_pipeline.reranker.schema import Field, FieldSize, additive_fields, parse_fields

ITEM = {"name": "category", "kind": "categorical", "group": "item"}
USER = {"name": "segment", "kind": "categorical", "group": "user"}


def test_fields_of_the_request_come_before_those_of_the_candidates() -> None:
    fields = parse_fields([ITEM, USER, {"name": "tags", "kind": "tags", "group": "item", "size": 3}])

    assert [field.name for field in fields] == ["segment", "category", "tags"]
    assert [field.per_candidate for field in fields] == [False, True, True]
    assert [field.columns for field in fields] == [1, 1, 3]


def test_only_item_and_score_fields_differ_between_candidates() -> None:
    groups = ["user", "item", "context", "score"]
    fields = [Field("x", "numeric", group) for group in groups]
    sizes = [FieldSize("x", "numeric", group, 1, 2) for group in groups]

    assert [field.per_candidate for field in fields] == [False, True, False, True]
    assert [size.per_candidate for size in sizes] == [False, True, False, True]


@pytest.mark.parametrize(
    ("declarations", "message"),
    [
        ([ITEM | {"width": 3}], r"field 0 .*unknown keys \['width'\]"),
        ([ITEM, {"name": "age", "kind": "numeric"}], r"field 1 .*missing keys \['group'\]"),
        ([ITEM, ITEM], r"declared twice: \['category'\]"),
        ([USER], r"fields \['segment'\] describe no candidate"),
        ([ITEM | {"kind": "text"}], "kind is 'text'; allowed: categorical, numeric, tags"),
        ([ITEM | {"group": "query"}], "group is 'query'; allowed: user, item, context, score"),
        ([ITEM | {"size": 0}], "size is 0; allowed: 1 or more"),
        (
            [ITEM | {"additive": "yes"}],
            "additive is 'yes'; allowed: true for kinds categorical and",
        ),
        (
            [ITEM | {"kind": "numeric", "additive": True}],
            "'category': additive is True; allowed: true for kind",
        ),
    ],
)
def test_a_wrong_declaration_is_named(declarations: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_fields(declarations)


def test_a_field_size_survives_its_json_form() -> None:
    size = FieldSize("tags", "tags", "item", 3, 12)

    assert FieldSize(**size.as_dict()) == size


def test_a_field_that_is_not_additive_is_stored_as_before_there_were_additive_ones() -> None:
    plain, additive = (
        Field("item_id", "categorical", "item"),
        Field("item_id", "categorical", "item", 32, True),
    )

    assert plain.to_dict() == {"name": "item_id", "kind": "categorical", "group": "item", "size": 32}
    assert Field(**additive.to_dict()) == additive
    sizes = [FieldSize(name, "categorical", "item", 1, 9, name == "item_id") for name in ("brand", "item_id")]
    assert additive_fields(sizes) == ["item_id"]
