"""True values by request, and rows over shops, by hand."""

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.judging.study.shop_rows import pooled_rows, true_values

REQUESTS = pd.DataFrame({"request_id": [7, 8, 9], "user_id": [1, 1, 2], "day": [3, 3, 3]})


def judged(subject: str, value: list[float], best: list[float], judge: str = "truth") -> pd.DataFrame:
    regret = np.subtract(best, value) if judge == "truth" else np.nan
    return pd.DataFrame(
        {"request_id": [7, 8], "subject": subject, "judge": judge, "value": value, "regret": regret}
    )


def values_of(
    generator: list[float], teacher: list[float], ranking=(1.0, 1.0), best=(2.0, 5.0)
) -> pd.DataFrame:
    judgements = pd.concat(
        [
            judged("generator", generator, best),
            judged("beam", teacher, best),
            judged("ranking_order", list(ranking), best),
            judged("generator", [9.0, 9.0], best, judge="external"),
        ],
        ignore_index=True,
    )
    return true_values(judgements, REQUESTS)


def value(rows, subject: str, metric: str) -> float:
    [found] = [row for row in rows if (row["subject"], row["metric"]) == (subject, metric)]
    assert found["judge"] == "truth"
    assert found["low"] <= found["value"] <= found["high"]
    return found["value"]


def test_the_best_list_is_among_the_true_values_and_the_beam_is_the_teacher() -> None:
    found = values_of([1.5, 2.0], [1.6, 3.0])

    assert list(found) == ["request_id", "user_id", "subject", "value"]
    by_subject = {
        subject: part.set_index("request_id")["value"].to_dict() for subject, part in found.groupby("subject")
    }
    assert by_subject == {
        "generator": {7: 1.5, 8: 2.0},
        "teacher": {7: 1.6, 8: 3.0},
        "ranking_order": {7: 1.0, 8: 1.0},
        "optimum": {7: 2.0, 8: 5.0},
    }
    assert set(found["user_id"]) == {1}


def test_without_the_truth_there_are_no_true_values() -> None:
    judgements = judged("generator", [1.0, 2.0], [], judge="external")

    with pytest.raises(ValueError, match="judges of the lists are external; allowed: truth among them"):
        true_values(judgements, REQUESTS)


def test_rows_are_means_over_shops_of_means_over_seeds() -> None:
    rows = pooled_rows(
        {
            201: {0: values_of([1.5, 2.0], [1.6, 3.0]), 4: values_of([1.0, 4.0], [1.0, 4.0])},
            202: {0: values_of([2.0, 3.0], [2.0, 3.0], ranking=(2.0, 2.0), best=(3.0, 3.0))},
        },
        samples=40,
    )

    # In shop 201 1.5 and 3 of 1 + 4 clicks are gained with the two seeds, in shop 202 1 of 1 + 1.
    assert value(rows, "generator", "regret_removed") == pytest.approx(((0.3 + 0.6) / 2 + 0.5) / 2)
    assert value(rows, "teacher", "regret_removed") == pytest.approx(((2.6 / 5 + 0.6) / 2 + 0.5) / 2)
    assert value(rows, "ranking_order", "regret_removed") == 0.0
    assert value(rows, "generator", "utility") == pytest.approx(((1.75 + 2.5) / 2 + 2.5) / 2)
    assert value(rows, "optimum", "utility") == pytest.approx((3.5 + 3.0) / 2)
    # The generator is 0.1 and 1 click below its teacher with the first seed, and nowhere else.
    assert value(rows, "generator", "over_teacher") == pytest.approx(-(1.1 / 2) / 2 / 2)
    assert len(rows) == 4 + 3 + 1


def test_requests_of_one_shop_are_paired_over_its_seeds_whatever_their_order() -> None:
    first, second = values_of([1.5, 2.0], [1.6, 3.0]), values_of([1.0, 4.0], [1.0, 4.0])
    assert pooled_rows({1: {0: first, 1: second[::-1]}}, samples=40) == pooled_rows(
        {1: {0: first, 1: second}}, samples=40
    )

    other = second.replace({"request_id": {8: 9}})
    with pytest.raises(ValueError, match=r"seed 1 of shop 3 was judged on other requests .* than seed 0"):
        pooled_rows({3: {0: first, 1: other}})
