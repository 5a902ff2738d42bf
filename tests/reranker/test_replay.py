from dataclasses import replace
from math import log2

import numpy as np
import pytest
import torch

from degre_pipeline.reranker.replay import (
    check_borne_out,
    click_metrics,
    click_weights,
    examination,
    places_among_shown,
    places_of_shown,
    rate_order,
    supported_share,
    weighted_click_metrics,
)


@pytest.fixture
def request_of_four(make_requests):
    """One request with five candidates that was shown 3, 0, 4 of them and clicked 0."""
    drawn = make_requests(1, n=5, slots=3)
    return replace(
        drawn,
        exposed=torch.tensor([[3, 0, 4]]),
        clicks=torch.tensor([[0.0, 1.0, 0.0]]),
        scores=torch.tensor([[4.0, 1.0, 2.0, 5.0, 3.0]]),
    )


def test_places_by_hand(request_of_four) -> None:
    others = torch.tensor([[0, 2, 3]])
    assert places_of_shown(others, request_of_four).tolist() == [[3, 1, 0]]
    assert places_among_shown(others, request_of_four).tolist() == [[2, 1, 3]]
    assert places_among_shown(request_of_four.shown, request_of_four).tolist() == [[1, 2, 3]]
    assert places_of_shown(torch.tensor([[1, 2, -1]]), request_of_four).tolist() == [[0, 0, 0]]


def test_click_metrics_by_hand() -> None:
    places = torch.tensor([[3, 1, 0], [2, 0, 4], [1, 2, 3]])
    clicks = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    found = click_metrics(places, clicks)

    np.testing.assert_allclose(found["hit_1"], [0, 0, np.nan])
    np.testing.assert_allclose(found["hit_3"], [1, 0, np.nan])
    np.testing.assert_allclose(found["hit_k"], [1, 0, np.nan])
    np.testing.assert_allclose(found["mrr"], [1 / 3, 0, np.nan])
    np.testing.assert_allclose(found["ndcg"], [(1 / log2(4)) / (1 + 1 / log2(3)), 0, np.nan])


def test_the_shown_list_hits_every_click(make_requests) -> None:
    requests = make_requests(20)
    places = places_of_shown(requests.shown, requests)
    found = click_metrics(places, requests.clicks)
    assert np.nanmin(found["hit_k"]) == 1.0
    assert np.nanmax(found["ndcg"]) == pytest.approx(1.0)


def test_weighted_clicks_by_hand() -> None:
    places, clicks = torch.tensor([[2, 1]]), torch.tensor([[1.0, 1.0]])
    earned, total = weighted_click_metrics(places, clicks, torch.tensor([[3.0, 1.0]]))
    assert total.tolist() == [4.0]
    assert earned["hit_1"].tolist() == [1.0]
    assert earned["mrr"].tolist() == [3 / 2 + 1]
    assert earned["ndcg"].tolist() == pytest.approx([3 / log2(3) + 1])


def test_examination_is_found_where_slots_vary(make_requests) -> None:
    requests = make_requests(40_000, n=4, slots=3)
    drawn = torch.Generator().manual_seed(1)
    rank = requests.scores.argsort(dim=1, descending=True).argsort(dim=1).gather(1, requests.exposed)
    appeal, looked = torch.tensor([0.8, 0.6, 0.4, 0.2]), torch.tensor([1.0, 0.5, 0.25])
    clicks = torch.rand(rank.shape, generator=drawn) < appeal[rank] * looked

    fitted = examination(replace(requests, clicks=clicks.float()))
    assert fitted == pytest.approx(looked.numpy(), abs=0.02)


def test_a_click_counts_by_how_rarely_its_rank_was_shown_and_seen(make_requests) -> None:
    requests = make_requests(4, n=2, slots=1)
    scored = replace(
        requests, scores=torch.tensor([[2.0, 1.0]] * 4), exposed=torch.tensor([[0], [0], [0], [1]])
    )
    weights = click_weights(scored, scored, np.array([0.5]))
    assert weights.flatten().tolist() == pytest.approx([1 / (0.75 * 0.5)] * 3 + [1 / (0.25 * 0.5)])


def test_support_counts_slots_that_the_log_knows(make_requests) -> None:
    requests = make_requests(2, n=3, slots=2)
    log = replace(
        requests, scores=torch.tensor([[3.0, 2.0, 1.0]] * 2), exposed=torch.tensor([[0, 1], [0, 2]])
    )
    lists = torch.tensor([[0, 2], [2, -1]])
    assert supported_share(lists, log, log, 0.5).tolist() == [1.0, 0.0]
    assert supported_share(lists, log, log, 0.6).tolist() == [0.5, 0.0]


def test_candidates_by_the_click_rate_of_a_code_and_then_by_score(make_requests) -> None:
    log = make_requests(200, n=4, slots=2)
    codes = torch.randint(1, 4, (200, 4), generator=torch.Generator().manual_seed(0))
    shown = codes.gather(1, log.exposed)
    log = replace(log, clicks=(shown == 2).float())
    one = replace(log.select(slice(0, 1)), scores=torch.tensor([[1.0, 4.0, 3.0, 2.0]]))
    order = rate_order(torch.tensor([[2, 1, 1, 2]]), one, codes, log)
    assert order.tolist() == [[3, 0]]
    only_scores = rate_order(torch.ones(1, 4, dtype=torch.long), one, torch.ones_like(codes), log)
    assert only_scores.tolist() == [[1, 2]]


@pytest.fixture
def in_order(make_requests):
    """Requests that were shown in the order of their score; the third slot was clicked."""
    drawn = make_requests(200)
    clicks = torch.zeros(200, 4)
    clicks[:, 2] = 1
    return replace(drawn, exposed=drawn.scores.argsort(dim=1, descending=True)[:, :4], clicks=clicks)


def test_a_log_in_one_order_is_borne_out_by_clicks_that_stand_higher_alone(in_order) -> None:
    higher, lower = in_order.exposed[:, [2, 0, 1, 3]], in_order.exposed[:, [0, 1, 3, 2]]
    users = np.arange(200)
    check_borne_out(higher, in_order, users)
    for lists in (lower, in_order.exposed):
        with pytest.raises(ValueError, match="no generator is trained"):
            check_borne_out(lists, in_order, users)
    silent = replace(in_order, clicks=torch.zeros(200, 4))
    with pytest.raises(ValueError, match=r"gain \+0\.0000 \[\+0\.0000, \+0\.0000\] in NDCG"):
        check_borne_out(higher, silent, users)


def test_a_gain_that_hangs_on_a_few_users_bears_nothing_out(in_order) -> None:
    higher, lower = in_order.exposed[:, [2, 0, 1, 3]], in_order.exposed[:, [0, 1, 3, 2]]
    mixed = torch.where(torch.arange(200)[:, None] < 50, higher, lower)  # gains 0.5 and loses 0.07
    check_borne_out(mixed, in_order, np.arange(200))
    with pytest.raises(ValueError, match=r"gain \+0\.0.* \[-0\.0.*\] in NDCG"):
        check_borne_out(mixed, in_order, np.arange(200) // 50)
