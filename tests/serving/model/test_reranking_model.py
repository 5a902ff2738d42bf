import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.stored_models import restore_decoding, restore_generator
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.reranking_model import RankedList, Reranker, build_reranker

FEATURES = st.fixed_dictionaries(
    {
        "category": st.sampled_from(["book", "film", "game", "never seen", None]),
        "genres": st.sampled_from(["drama", "noir", "noir|drama", "", None]),
        "price": st.none() | st.floats(0, 12),
        "ranking_score": st.floats(-3, 3),
    }
)


@st.composite
def any_request(draw) -> Request:
    features = draw(st.lists(FEATURES, min_size=1, max_size=7))
    candidates = [{"item_id": item_id, **values} for item_id, values in enumerate(features)]
    user = {
        "segment": draw(st.sampled_from(["new", "regular", None])),
        "age": draw(st.none() | st.floats(10, 60)),
    }
    return Request(candidates, user, {"weekday": draw(st.sampled_from([0, 1, 6, 9]))})


def assert_same_up_to_ties(one: RankedList, other: RankedList) -> None:
    """Equal items and probabilities; after a draw between equally probable items anything may follow."""
    assert len(one.item_ids) == len(other.item_ids)
    for slot, (item, item_of_other) in enumerate(zip(one.item_ids, other.item_ids, strict=True)):
        assert one.probabilities[slot] == pytest.approx(other.probabilities[slot], abs=1e-4)
        if item != item_of_other:
            return


def test_encodes_raw_values_as_written_out_here(reranker, requests):
    static, candidates, mask = reranker.encode(requests)
    assert static.tolist() == [[1, 2, 3], [2, 0, 3]]
    assert candidates[0].tolist() == [[1, 1, 2, 2, 3], [2, 2, 0, 3, 1], [3, 0, 0, 1, 4], [2, 1, 0, 0, 3]]
    assert candidates[1].tolist() == [[2, 2, 0, 3, 1], [3, 0, 0, 1, 4], [0] * 5, [0] * 5]
    assert mask.tolist() == [[True] * 4, [True, True, False, False]]


def test_ranks_as_the_generator_decodes(reranker, requests, trained):
    sequences, steps = restore_generator(trained).greedy_decode(*reranker.encode(requests))
    first, second = reranker.rerank(requests)
    assert list(first.candidate_indices) == sequences[0].tolist()
    assert first.item_ids == tuple(
        requests[0].candidates[index]["item_id"] for index in sequences[0].tolist()
    )
    assert first.probabilities == pytest.approx(
        [float(steps[0, slot, index].exp()) for slot, index in enumerate(sequences[0].tolist())]
    )
    assert (first.request_id, second.request_id) == (7, 8)


def test_few_candidates_make_a_short_list(reranker, requests):
    ranked = reranker.rerank(requests)[1]
    assert sorted(ranked.item_ids) == [12, 13]
    assert sorted(ranked.candidate_indices) == [0, 1]
    assert ranked.probabilities[-1] == pytest.approx(1.0)


def test_no_request_gives_no_list(reranker):
    assert reranker.rerank([]) == []


def test_missing_absent_and_unknown_values_are_index_zero(reranker, requests):
    variants = [
        replace(requests[0], user={"segment": None, "age": None}, context={}),
        replace(requests[0], user={}, context={"weekday": None}),
        replace(requests[0], user={"segment": "never seen", "age": float("nan")}, context={"weekday": 4}),
    ]
    static, _, _ = reranker.encode(variants)
    assert static.tolist() == [[0, 0, 0]] * 3
    ranked = reranker.rerank(variants)
    assert ranked[0] == ranked[1] == ranked[2]


def test_truth_value_is_not_the_number_it_equals(trained, space, requests):
    vocabularies = {**space.vocabularies, "weekday": ("1", "True", "yes")}
    other = build_reranker(trained, FeatureSpace(space.fields, vocabularies, space.edges))
    days = [replace(requests[0], context={"weekday": value}) for value in (1, True, 1.0)]
    assert other.encode(days)[0][:, 2].tolist() == [1, 2, 1]


def test_bad_request_stops_all(reranker, requests):
    bad = replace(requests[1], candidates=[])
    with pytest.raises(ValueError, match="request 8: candidates is"):
        reranker.rerank([requests[0], bad])


def test_weights_of_other_fields_are_refused(trained, space):
    wider = {**space.vocabularies, "category": ("book", "film", "game", "toy")}
    with pytest.raises(ValueError, match=r"sizes of the generator is .*; allowed: "):
        build_reranker(trained, FeatureSpace(space.fields, wider, space.edges))


@given(request=any_request(), data=st.data())
def test_candidate_order_does_not_matter(reranker, request, data):
    shuffled = replace(request, candidates=data.draw(st.permutations(request.candidates)))
    original, again = reranker.rerank([request])[0], reranker.rerank([shuffled])[0]
    assert_same_up_to_ties(original, again)
    assert [shuffled.candidates[index]["item_id"] for index in again.candidate_indices] == list(
        again.item_ids
    )


@given(requests=st.lists(any_request(), min_size=1, max_size=5), batch_size=st.integers(1, 5))
def test_company_in_a_batch_changes_nothing(trained, space, reranker, requests, batch_size):
    together = Reranker(restore_decoding(trained), space, batch_size).rerank(requests)
    for request, ranked in zip(requests, together, strict=True):
        assert_same_up_to_ties(reranker.rerank([request])[0], ranked)


@given(request=any_request())
def test_no_item_twice_and_as_many_as_fit(reranker, request):
    ranked = reranker.rerank([request])[0]
    assert len(set(ranked.item_ids)) == len(ranked.item_ids) == min(3, len(request.candidates))


def test_small_model_tells_candidates_apart(reranker, requests):
    """Guards the properties above: with a model that ranks everything alike they could not fail."""
    ranked = {
        reranker.rerank([replace(requests[0], user={"segment": segment, "age": age})])[0].item_ids
        for segment, age in itertools.product(["new", "regular", None], [10, 30, 50])
    }
    assert len(ranked) > 1
    assert torch.tensor(reranker.rerank(requests)[0].probabilities).std() > 0.05


@pytest.mark.parametrize(
    ("indices", "probability"),
    [
        ([-1, -1, -1], 0.5),
        ([0, -1, 1], 0.5),
        ([0, 0, 1], 0.5),
        ([0, 1, 4], 0.5),
        ([0, 1, 2], float("nan")),
    ],
)
def test_what_is_no_list_is_a_fault_of_the_model(space, requests, indices, probability):
    class Broken:
        def decode(self, static, candidates, mask):
            steps = torch.full((1, 3, 5), probability).log()
            return torch.tensor([indices]), steps

    with pytest.raises(RuntimeError, match=r"request 7: the model ranks candidates .*; allowed: 3 different"):
        Reranker(Broken(), space).rerank(requests[:1])
