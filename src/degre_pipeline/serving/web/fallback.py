"""The list that is answered where the model has none in time."""

from degre_pipeline.reranker.schema import RANKING_SCORE
from degre_pipeline.serving.model.request_schema import ITEM_ID, Request, has_ranking_score
from degre_pipeline.serving.model.reranking_model import RankedList


def fallback_list(request: Request, scored: Request | None, list_length: int | None) -> RankedList:
    """Returns the first candidates, as many as a list holds, without probabilities.

    They are in the order of the ranking model's scores where the request came without any, and as they came
    otherwise, since whoever has scores sends candidates in their order.

    Args:
        request: As it came.
        scored: With the ranking model's scores, or as it came; None where nothing is known of it.
        list_length: Slots of a list, L; None for all candidates.
    """
    places = list(range(len(request.candidates)))
    if scored is not None and not has_ranking_score(request) and has_ranking_score(scored):
        places.sort(key=lambda place: -float(scored.candidates[place][RANKING_SCORE]))
    indices = tuple(places[:list_length])
    item_ids = tuple(request.candidates[index][ITEM_ID] for index in indices)
    return RankedList(request.request_id, item_ids, indices, ())
