"""The names of lists, judges and metrics: one place for what all figures, files and pages refer to."""

from typing import Any

from degre_pipeline.reranker.schema import ROLES

Row = dict[str, Any]
"""A figure: {subject, judge, metric, value, low, high}."""

GENERATOR = "generator"
BEAM = "beam"
RANKING_ORDER = "ranking_order"
RANDOM = "random"
EXPOSED = "exposed"
SUBJECTS = (GENERATOR, BEAM, RANKING_ORDER, RANDOM, EXPOSED)
"""Whose lists are compared."""
ITEM_MEAN = "item_mean"
"""Subject: lists by the click rate of the item alone."""
BY_FEATURE = "by_"
"""Begins the name of a subject whose lists follow the click rate of one feature."""
TEACHER = "teacher"
"""Subject in the truth study: what a run's own search finds, there also with other beams."""
OPTIMUM = "optimum"
"""Subject in the truth study: the best list that there is."""

TRUTH = "truth"
MINING, EXTERNAL = ROLES
"""Judges: the evaluators, called by their roles."""
INDEPENDENT_JUDGES = (TRUTH, EXTERNAL)
"""Judges that did not teach the generator, the most trustworthy first."""
SECOND, PAPER_LIKE, SECOND_PAPER_LIKE = "second", "paper_like", "second_paper_like"
BIDIRECTIONAL = "bidirectional"
"""With the external evaluator, the trained judges of the truth study."""
CLICKS = "clicks"
"""Judge of evaluators: the observed clicks of exposed lists."""
LOGGED_CLICKS = "logged_clicks"
WEIGHTED_CLICKS = "weighted_clicks"
RANDOMIZED_CLICKS = "randomized_clicks"
"""Judges: where lists put the items that were clicked."""
LOG = "log"
"""Judge of what only the log can say, and subject of figures about the log itself."""

MINING_EVALUATOR, EXTERNAL_EVALUATOR = (f"{role}_evaluator" for role in ROLES)
TRUE_MODEL = "true_model"
FACTOR_MODEL = "factor_model"
"""Subjects that predict clicks, beside `ITEM_MEAN` and `schema.RANKING_SCORE`."""
REFERENCES = (FACTOR_MODEL, ITEM_MEAN)
"""Subjects, with the ranking score, that order items one at a time; evaluators are held against them."""

UTILITY = "utility"
REGRET = "regret"
NDCG = "ndcg"
HR1, HR3, HR10 = "hr1", "hr3", "hr10"
HIT_RATES = {1: HR1, 3: HR3, 10: HR10}
"""By percent: how often a list is among the best percent of random lists."""
TIES = "ties"
UTILITY_OVER_RANKING_ORDER = "utility_over_ranking_order"
UTILITY_OVER_EXPOSED = "utility_over_exposed"
UTILITY_OVER_RANDOM = "utility_over_random"
GAINS = {
    RANKING_ORDER: UTILITY_OVER_RANKING_ORDER,
    EXPOSED: UTILITY_OVER_EXPOSED,
    RANDOM: UTILITY_OVER_RANDOM,
}
"""Paired gain in utility, by the subject over which it is gained."""
HR1_BELOW_BEAM = "hr1_below_beam"
EXACT_REGRET = "exact_regret"
EXACT_HIT_RATES = {1: "exact_hr1", 3: "exact_hr3", 10: "exact_hr10"}
"""By percent: the same among all lists."""
RANK_CORRELATION = "rank_correlation"

R_AUC, PCOC, RMSE, LOSS = "r_auc", "pcoc", "rmse", "loss"
GAUC, GAUC_OVER_RANKING_SCORE = "gauc", "gauc_over_ranking_score"
GAUC_OVER_REFERENCES = "gauc_over_references"
"""Metrics of evaluators."""

HIT_1, HIT_3, HIT_K, MRR = "hit_1", "hit_3", "hit_k", "mrr"
ORDER_OVER_SHOWN = "order_over_shown"
SUPPORTED_SLOTS, MOVED_SLOTS = "supported_slots", "moved_slots"
EXAMINATION = "examination_"
"""Metrics by logged clicks, beside NDCG; the last one is followed by the slot."""

LISTS = "lists"
IN_RANKING_ORDER = "in_ranking_order"
SLOT_ENTROPY, SLOT_COVERAGE = "slot_entropy", "slot_coverage"
PAIRS_IN_BOTH_ORDERS = "pairs_in_both_orders"
USUAL_CLICKS, LISTS_WITH_USUAL_CLICKS = "usual_clicks", "lists_with_usual_clicks"
CANDIDATES_WITHOUT_ITEM, REQUESTS_WITHOUT_USER = "candidates_without_item", "requests_without_user"
SHOWN_AT_RANK = "shown_at_rank_"
"""Metrics of the log, beside its mean `CLICKS`; the last one is followed by the rank."""

OVER_RANKING_ORDER, OVER_FIRST_ARM = "over_ranking_order", "over_first_arm"
OVER_TEACHER = "over_teacher"
REGRET_REMOVED, HR1_BELOW_TEACHER = "regret_removed", "hr1_below_teacher"
"""Metrics of the truth study, beside utility, hit rates and optimism."""

OPTIMISM, OPTIMISM_SHARE = "optimism", "optimism_share"
OPTIMISM_BY_DECILE, OPTIMISM_BY_SLOT = "optimism_by_decile", "optimism_by_slot"
VALUE_BY, OPTIMISM_BY = "value_by_", "optimism_by_"
AGREEMENT = "agreement"
UNLOGGED_ITEM_IN_SLOT, UNLOGGED_NEXT_ITEM = "unlogged_item_in_slot", "unlogged_next_item"
CHOICE_AGREEMENT, VALUE_LOST = "choice_agreement", "value_lost"
"""Diagnostics; those that end in `by_` are followed by `BEAM_SIZE` or `EPOCH`."""
BEAM_SIZE, EPOCH = "beam_size", "epoch"
MINED = "mined"
TEACHERS_PREFIX, OWN_PREFIX = "teachers_prefix", "own_prefix"
"""Subjects of diagnostics alone: all lists that a search finds, and what the generator's choice follows."""

METRICS = (
    *(UTILITY, REGRET, NDCG, TIES, HR1_BELOW_BEAM, EXACT_REGRET, RANK_CORRELATION),
    *(*HIT_RATES.values(), *GAINS.values(), *EXACT_HIT_RATES.values()),
    *(R_AUC, PCOC, RMSE, LOSS, GAUC, GAUC_OVER_RANKING_SCORE, GAUC_OVER_REFERENCES),
    *(HIT_1, HIT_3, HIT_K, MRR, ORDER_OVER_SHOWN, SUPPORTED_SLOTS, MOVED_SLOTS),
    *(LISTS, IN_RANKING_ORDER, SLOT_ENTROPY, SLOT_COVERAGE, PAIRS_IN_BOTH_ORDERS),
    *(CLICKS, USUAL_CLICKS, LISTS_WITH_USUAL_CLICKS, CANDIDATES_WITHOUT_ITEM, REQUESTS_WITHOUT_USER),
)
"""All metrics of an evaluation but those of each slot and of each rank."""


def figure_row(subject: str, judge: str, metric: str, **figure: float | None) -> Row:
    """Returns a figure, with its interval where it has one, as a row of the metrics."""
    return {"subject": subject, "judge": judge, "metric": metric, **figure}
