import json

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.example_requests import example_requests
from degre_pipeline.serving.model.signature import as_record
from degre_pipeline.sources.feature_tables import FeatureTables

SPACE = FeatureSpace(
    fields=(
        Field("segment", "categorical", "user"),
        Field("hour", "categorical", "context"),
        Field("item_id", "categorical", "item"),
        Field("rating", "numeric", "item"),
        Field("ranking_score", "numeric", "score"),
    ),
    vocabularies={},
    edges={},
)


@pytest.fixture
def tables():
    return FeatureTables(
        requests=pd.DataFrame({"request_id": [1, 2, 3], "hour": [8, 9, 10]}),
        users=pd.DataFrame({"user_id": ["ann", "bob"], "segment": ["new", None]}),
        items=pd.DataFrame({"item_id": [5, 6], "rating": [2.5, np.nan]}),
        candidates=pd.DataFrame(
            {
                "request_id": [2, 2, 1, 3, 3],
                "candidate_index": [1, 0, 0, 0, 1],
                "item_id": [5, 6, 7, 5, 6],
                "ranking_score": [0.5, -0.5, 1.0, 0.0, 0.0],
            }
        ),
    )


def test_puts_together_what_the_tables_hold(tables):
    lists = pd.DataFrame({"request_id": [2, 1], "user_id": ["ann", "zoe"]})
    ours = [as_record(request) for request in example_requests(lists, tables, SPACE)]
    assert ours == [
        {
            "request_id": 2,
            "user": {"segment": "new"},
            "context": {"hour": 9},
            "candidates": [
                {"item_id": 6, "rating": None, "ranking_score": -0.5},
                {"item_id": 5, "rating": 2.5, "ranking_score": 0.5},
            ],
        },
        {
            "request_id": 1,
            "user": {"segment": None},
            "context": {"hour": 8},
            "candidates": [{"item_id": 7, "rating": None, "ranking_score": 1.0}],
        },
    ]
    assert json.loads(json.dumps(ours)) == ours


def test_missing_is_none_and_what_json_lacks_is_text(tables):
    tables.requests["hour"] = pd.to_datetime(["2026-01-31"] * 3)
    lists = pd.DataFrame({"request_id": [3], "user_id": ["bob"]})
    request = example_requests(lists, tables, SPACE)[0]
    assert request.user == {"segment": None}
    assert request.context == {"hour": "2026-01-31 00:00:00"}
