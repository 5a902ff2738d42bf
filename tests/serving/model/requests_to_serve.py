"""Requests that tests let models serve."""

from dataclasses import replace

from degre_pipeline.serving.model.request_schema import Request


def sample_requests() -> list[Request]:
    first = Request(
        candidates=(
            {"item_id": 11, "category": "book", "genres": "drama|noir", "price": 3, "ranking_score": 0.5},
            {"item_id": 12, "category": "film", "genres": "noir", "price": 7.5, "ranking_score": -2.0},
            {"item_id": 13, "category": "game", "genres": None, "price": 0.5, "ranking_score": 2.0},
            {"item_id": 14, "category": "film", "genres": "drama", "price": None, "ranking_score": 0.0},
        ),
        user={"segment": "new", "age": 33},
        context={"weekday": 6},
        request_id=7,
    )
    return [
        first,
        replace(first, candidates=first.candidates[1:3], user={"segment": "regular"}, request_id=8),
    ]
