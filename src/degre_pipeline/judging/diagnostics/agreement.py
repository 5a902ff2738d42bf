"""How far judges agree on random, on mined and on exposed lists."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.diagnostics.diagnostic_rows import Row, estimated, row
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judges import Judge, Values, prefix_values
from degre_pipeline.reranker.metrics import DECIMALS, Estimate, rank_correlation
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.valuation import random_lists_of

LISTS_A_BATCH = 4096


def judge_agreement_rows(
    requests: Requests, mined: Tensor, judges: Sequence[Judge], lists: int, config: EvaluationConfig
) -> list[Row]:
    """Returns the rank correlation of every two judges on lists of three kinds.

    Random and mined lists are compared within each request, and the correlations averaged. A request has one
    exposed list only, so these are compared across requests: by the list's value less the mean value of the
    request's random lists, by the same judge. Without the difference, easy requests would look like
    agreement.

    Args:
        requests: Those that are compared.
        mined: Candidate indices, [b, k, t]; -1 throughout where a list does not exist.
        judges: All who have an opinion.
        lists: Random lists a request.
        config: Of draw and intervals.
    """
    random = values_by_judge(requests, random_lists_of(requests, lists, config.seed + 2), judges)
    exposed = values_by_judge(requests, requests.shown[:, None], judges)
    of_mined = values_by_judge(requests, mined, judges)
    above = {name: exposed[name][:, 0] - random[name].mean(1) for name in random}
    real = (mined[..., 0] >= 0).numpy()
    rows: list[Row] = []
    for one, other in combinations(random, 2):
        pair = f"{one}-{other}"
        within = rank_correlation(random[one], random[other])
        rows += estimated(names.AGREEMENT, names.RANDOM, pair, within, config)
        rows += estimated(
            names.AGREEMENT, names.MINED, pair, _within(of_mined[one], of_mined[other], real), config
        )
        across = correlation_over_requests(above[one], above[other], config)
        rows += [row(names.AGREEMENT, names.EXPOSED, pair, across)] if np.isfinite(across.value) else []
    return rows


def values_by_judge(requests: Requests, lists: Tensor, judges: Sequence[Judge]) -> Mapping[str, Values]:
    """Returns every judge's values, [b, s], of lists, [b, s, t]."""
    together = max(LISTS_A_BATCH // lists.shape[1], 1)
    return {
        judge.name: prefix_values(judge, requests, lists, together)[..., -1].round(DECIMALS)
        for judge in judges
    }


def correlation_over_requests(one: Values, other: Values, config: EvaluationConfig) -> Estimate:
    """Returns Spearman's correlation of two figures of each request, [b], with its bootstrap interval."""
    drawn = np.random.default_rng(config.seed).integers(len(one), size=(config.bootstrap_samples, len(one)))
    resampled = rank_correlation(one[drawn], other[drawn])
    known = resampled[np.isfinite(resampled)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return Estimate(float(rank_correlation(one[None], other[None])[0]), float(low), float(high))


def _within(one: Values, other: Values, real: np.ndarray) -> Values:
    """Returns the correlation within each request, [b], over the lists that exist."""
    pairs = zip(one, other, real, strict=True)
    return np.array([rank_correlation(a[None, kept], b[None, kept])[0] for a, b, kept in pairs])
