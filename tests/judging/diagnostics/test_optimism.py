import math

import numpy as np
import pandas as pd
import pytest
from diagnosed import CONFIG, figure

from degre_pipeline.judging.diagnostics.diagnostic_rows import COLUMNS, table_of
from degre_pipeline.judging.diagnostics.optimism import deciles, optimism_rows


def judgements(subject: str, judge: str, slots: list[list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "request_id": range(len(slots)),
            "subject": subject,
            "judge": judge,
            "value": [sum(own) for own in slots],
            "slot_values": [np.array(own) for own in slots],
        }
    )


@pytest.fixture
def judged() -> pd.DataFrame:
    parts = [
        judgements("beam", "mining", [[1.0, 1.0], [1.5, 0.5]]),
        judgements("beam", "truth", [[0.5, 0.5], [1.0, 1.0]])[::-1],  # in another order of requests
        judgements("random", "mining", [[0.5, 0.0], [0.0, 0.0]]),
        judgements("random", "truth", [[0.5, 0.25], [0.0, 0.25]]),
    ]
    return pd.concat(parts, ignore_index=True)


def test_optimism_by_hand(judged) -> None:
    rows = optimism_rows(judged, CONFIG)

    assert figure(rows, "optimism", "beam", "truth") == pytest.approx(0.5)  # 1 and 0
    assert figure(rows, "optimism_share", "beam", "truth") == pytest.approx(1 / 3)
    assert figure(rows, "optimism", "random", "truth") == pytest.approx(-0.25)
    assert figure(rows, "optimism_by_slot", "beam", "truth", at=1) == pytest.approx(0.5)
    assert figure(rows, "optimism_by_slot", "beam", "truth", at=2) == pytest.approx(0.0)
    assert not [row for row in rows if row["subject"] == "random" and "_by_" in row["diagnostic"]]
    assert not [row for row in rows if row["judge"] == "mining"]


def test_deciles_begin_with_the_lowest_values_of_the_miner() -> None:
    values = [[float(value)] for value in np.random.default_rng(0).permutation(20)]
    judged = pd.concat(
        [
            judgements("beam", "mining", values),
            judgements("beam", "external", [[value / 2] for (value,) in values]),
        ]
    )
    rows = optimism_rows(judged, CONFIG)

    by_decile = [figure(rows, "optimism_by_decile", "beam", "external", at=at) for at in range(1, 11)]
    assert by_decile == pytest.approx([0.25 + tenth for tenth in range(10)])
    assert [len(group) for group in deciles(np.arange(3.0))] == [1, 1, 1]


def test_lists_that_a_judge_expects_nothing_of_have_no_share() -> None:
    judged = pd.concat(
        [judgements("beam", "mining", [[1.0]]), judgements("beam", "external", [[0.0]])], ignore_index=True
    )
    assert "optimism_share" not in {row["diagnostic"] for row in optimism_rows(judged, CONFIG)}


def test_the_table_has_its_columns_even_without_rows(judged) -> None:
    table = table_of(optimism_rows(judged, CONFIG))
    assert tuple(table.columns) == tuple(table_of([]).columns) == COLUMNS
    assert table["at"].dtype == float
    assert math.isnan(table[table["diagnostic"] == "optimism"]["at"].iloc[0])
