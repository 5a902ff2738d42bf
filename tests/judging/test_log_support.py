from dataclasses import replace

import pandas as pd
import pytest
import torch

from degre_pipeline.judging.log_support import figures_of, log_support_rows, pairs_in_both_orders, statements


def as_table(requests):
    """The requests as the table of lists: candidate c of request r is item 10 r + c."""
    rows = range(len(requests))
    return pd.DataFrame(
        {
            "request_id": requests.request_id.numpy(),
            "user_id": list(rows),
            "candidate_item_ids": [
                [10 * row + c for c in range(int(requests.mask[row].sum()))] for row in rows
            ],
            "exposed_indices": [requests.exposed[row].tolist() for row in rows],
        }
    )


@pytest.fixture
def in_order(make_requests):
    requests = make_requests(50)
    one_click = torch.zeros(50, 4)
    one_click[:, 1] = 1
    best = requests.scores.argsort(dim=1, descending=True)[:, :4]
    return replace(requests, exposed=best, clicks=one_click)


def measured(requests, users=50, items=500):
    tables = {
        "users": pd.DataFrame({"user_id": range(users)}),
        "items": pd.DataFrame({"item_id": range(items)}),
    }
    return figures_of(log_support_rows(requests, as_table(requests), tables))


def test_a_log_in_order_with_one_click_a_list(in_order) -> None:
    figures = measured(in_order, users=40, items=250)
    assert figures["in_ranking_order"] == 1.0
    assert figures["slot_entropy"] == 0.0
    assert (figures["usual_clicks"], figures["lists_with_usual_clicks"]) == (1.0, 1.0)
    assert [figures[f"shown_at_rank_{rank:02d}"] for rank in range(1, 9)] == [1.0] * 4 + [0.0] * 4
    assert figures["candidates_without_item"] == pytest.approx(0.5)
    assert figures["requests_without_user"] == pytest.approx(0.2)

    said = statements(figures)
    assert said[0] == (
        "Slots follow the score, or the order handed over, in 100% of the lists: nothing in this log tells "
        "what another order would have earned."
    )
    assert said[1].startswith("100% of the lists have exactly 1 click:")
    assert said[2] == "Candidates of rank 5 to 8 were never shown: nothing is known of them."
    assert said[3] == "50% of the candidates have no row in table items: their features are unknown."
    assert (
        said[4] == "20% of the requests have a user without a row in table users: their features are unknown."
    )


def test_a_random_log_can_compare_orders(make_requests) -> None:
    said = statements(measured(make_requests(2000), users=2000, items=20_000))
    assert len(said) == 1
    assert said[0].endswith("this log can compare orders.")


def test_pairs_that_occur_in_both_orders_by_hand() -> None:
    lists = pd.DataFrame(
        {
            "candidate_item_ids": [["a", "b", "c"], ["b", "a"], ["a", "c"]],
            "exposed_indices": [[0, 1, 2], [0, 1], [0, 1]],
        }
    )
    # a and b twice, in both orders; a and c twice, in one; b and c once.
    assert pairs_in_both_orders(lists) == 0.5
