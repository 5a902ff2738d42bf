"""What lists are truly worth on several shops: by request of one shop, and over shops with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.judging import names
from degre_pipeline.judging.study.nested_bootstrap import ShopFigures, nested_bootstrap
from degre_pipeline.reranker.metrics import Array

Row = dict[str, Any]

PLAIN_NAMES = {names.BEAM: names.TEACHER}
"""What subjects of an evaluation are called here, where it differs."""


def true_values(list_judgements: pd.DataFrame, requests: pd.DataFrame) -> pd.DataFrame:
    """Returns request_id, user_id, subject and value, the true clicks of each list and of the best one.

    Args:
        list_judgements: Of an evaluation, with `regret`; its beam is called the teacher here.
        requests: With `request_id` and `user_id`.
    Raises: ValueError: If the truth judged no list.
    """
    judged = list_judgements[list_judgements["judge"] == names.TRUTH].replace({"subject": PLAIN_NAMES})
    if judged.empty:
        judges = ", ".join(sorted(list_judgements["judge"].unique()))
        raise ValueError(f"judges of the lists are {judges}; allowed: {names.TRUTH} among them")
    ranked = judged[judged["subject"] == names.RANKING_ORDER]
    best = ranked.assign(subject=names.OPTIMUM, value=ranked["value"] + ranked[names.REGRET])
    users = requests[["request_id", "user_id"]]
    every = pd.concat([judged, best])[["request_id", "subject", "value"]].merge(users, validate="many_to_one")
    return every[["request_id", "user_id", "subject", "value"]]


def pooled_rows(shops: Mapping[int, Mapping[int, pd.DataFrame]], *, samples: int = 10_000) -> list[Row]:
    """Returns rows {subject, judge, metric, value, low, high} over the shops, seeds and requests of a world.

    Metrics: `utility` in clicks, `regret_removed` as a share of what separates the ranking order from the
    best list, and of the generator its clicks `over_teacher`, paired request by request.

    Args:
        shops: By shop seed and model seed, what `true_values` returned.
        samples: Resamples of shops, of seeds within them, and of users with their requests.
    Raises: ValueError: If the seeds of a shop have other requests or subjects.
    """
    figures = [_figures(shop, seeds) for shop, seeds in shops.items()]
    estimates = nested_bootstrap([found for _, found in figures], samples=samples)
    return [
        {**names.figure_row(subject, names.TRUTH, metric), **vars(estimate)}
        for (subject, metric), estimate in zip(figures[0][0], estimates, strict=True)
    ]


def _figures(shop: int, seeds: Mapping[int, pd.DataFrame]) -> tuple[list[tuple[str, str]], ShopFigures]:
    """Returns the subject and metric of each of a shop's figures, and the figures."""
    values, users = _by_subject(shop, seeds)
    ranked = values[names.RANKING_ORDER]
    one, possible = np.ones(ranked.shape[1]), (values[names.OPTIMUM] - ranked)[0]
    own = {subject: found for subject, found in values.items() if subject != names.OPTIMUM}
    gap = values[names.GENERATOR] - values[names.TEACHER]
    figures = {
        **{(subject, names.UTILITY): (found, one) for subject, found in values.items()},
        **{(subject, names.REGRET_REMOVED): (found - ranked, possible) for subject, found in own.items()},
        (names.GENERATOR, names.OVER_TEACHER): (gap, one),
    }
    parts, wholes = (np.stack(arrays) for arrays in zip(*figures.values(), strict=True))
    return list(figures), ShopFigures(parts, wholes, users)


def _by_subject(shop: int, seeds: Mapping[int, pd.DataFrame]) -> tuple[dict[str, Array], NDArray[np.int64]]:
    """Returns the values of each subject's lists, [s, r], and the user of each request, [r]."""
    keys = ["request_id", "user_id"]
    tables = {
        seed: one.pivot_table(index=keys, columns="subject", values="value") for seed, one in seeds.items()
    }
    known = next(iter(tables))
    first = tables[known]
    for seed, other in tables.items():
        if not (other.index.equals(first.index) and other.columns.equals(first.columns)):
            raise ValueError(
                f"seed {seed} of shop {shop} was judged on other requests or subjects than seed {known}; "
                "allowed: the same. Delete the shop's files and run it again"
            )
    values = {str(subject): np.stack([one[subject] for one in tables.values()]) for subject in first}
    return values, first.index.get_level_values("user_id").factorize()[0].astype(np.int64)
