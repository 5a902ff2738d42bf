import numpy as np
import pandas as pd
import pytest
import torch
from diagnosed import CONFIG, figure

from degre_pipeline.judging.diagnostics.novelty import novelty_rows
from degre_pipeline.judging.names import SUBJECTS

FIRST, NEXT = "unlogged_item_in_slot", "unlogged_next_item"


def one(request_id, split, role, items, exposed):
    return {
        "request_id": request_id,
        "split": split,
        "role": role,
        "candidate_item_ids": np.array(items),
        "exposed_indices": np.array(exposed),
    }


@pytest.fixture
def lists() -> pd.DataFrame:
    return pd.DataFrame(
        [
            one(1, "train", "mining", ["a", "b", "c"], [0, 1, 2]),
            one(2, "train", "mining", ["d", "a"], [1]),
            one(3, "train", "external", ["c", "b", "a"], [0, 1, 2]),  # of another evaluator
            one(4, "validation", "mining", ["c", "b", "a"], [0, 1, 2]),
            one(9, "test", "mining", ["b", "c", "a"], [2, 0, 1]),
            one(8, "test", "mining", ["e", "a", "b"], [1]),
        ]
    )


def novelty(lists, of_beam):
    other = torch.tensor([[1, 2, -1], [2, 0, 1]])
    evaluated = dict.fromkeys(SUBJECTS, other) | {"beam": torch.tensor(of_beam)}
    return novelty_rows(lists, {"request_id": torch.tensor([8, 9]), **evaluated}, CONFIG)


def test_shares_by_hand(lists) -> None:
    # request 8: a then b, as logged; request 9: b, c, a: b and c stood elsewhere, c before a never
    rows = novelty(lists, [[1, 2, -1], [0, 1, 2]])

    assert figure(rows, FIRST, "beam", "log") == pytest.approx((0 + 1) / 2)
    assert figure(rows, NEXT, "beam", "log") == pytest.approx((0 + 1 / 2) / 2)
    assert figure(rows, FIRST, "generator", "log") == 0
    assert figure(rows, NEXT, "generator", "log") == 0


def test_an_unknown_item_was_never_logged_and_one_item_has_no_next(lists) -> None:
    rows = novelty(lists, [[0, -1, -1], [2, 1, -1]])  # e; a then c

    assert figure(rows, FIRST, "beam", "log") == pytest.approx((1 + 1 / 2) / 2)
    assert figure(rows, NEXT, "beam", "log") == 1  # of request 9 alone
