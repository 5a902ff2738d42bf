import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from degre_pipeline.reranker.models.generator import Decoding, OnlineGenerator, build_generator, chosen_before
from degre_pipeline.reranker.models.model_config import GeneratorConfig
from degre_pipeline.reranker.requests import Requests

VARIANTS = [
    {"cross_attention": cross, "item_input": item_input}
    for cross in (False, True)
    for item_input in ("encoder", "feature")
]


def decoded(generator: OnlineGenerator, requests: Requests) -> tuple[torch.Tensor, torch.Tensor]:
    return generator.greedy_decode(requests.static, requests.candidates, requests.mask)


def forced(generator: OnlineGenerator, requests: Requests, sequences: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return generator(requests.static, requests.candidates, requests.mask, sequences)


@pytest.mark.parametrize("settings", VARIANTS)
def test_greedy_steps_equal_teacher_forcing_on_the_produced_list(
    make_requests, make_generator, settings
) -> None:
    requests, generator = make_requests(4, real=[8, 6, 4, 2]), make_generator(**settings)
    sequences, steps = decoded(generator, requests)
    parallel = forced(generator, requests, sequences[:, None])[:, 0]
    selectable = steps.isfinite()

    assert torch.equal(selectable, parallel.isfinite())
    assert torch.allclose(steps[selectable], parallel[selectable])
    best = parallel.argmax(-1).masked_fill(~selectable.any(-1), -1)
    assert torch.equal(sequences, best)


@given(seed=st.integers(0, 50), settings=st.sampled_from(VARIANTS))
def test_permuted_candidates_permute_the_list(make_requests, make_generator, seed: int, settings) -> None:
    requests, generator = make_requests(3, real=[8, 5, 3], seed=seed), make_generator(seed=seed, **settings)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    permuted = replace(requests, candidates=requests.candidates[:, order], mask=requests.mask[:, order])
    (sequences, steps), (other, other_steps) = decoded(generator, requests), decoded(generator, permuted)

    assert torch.equal(sequences, torch.where(other >= 0, order[other.clamp(min=0)], -1))
    assert torch.allclose(steps[..., order].exp(), other_steps.exp())


def test_padded_candidates_change_nothing_and_are_never_chosen(make_requests, make_generator) -> None:
    generator = make_generator(6)
    wide = make_requests(2, n=12, slots=6, real=[8, 8])
    narrow = replace(wide, candidates=wide.candidates[:, :8], mask=wide.mask[:, :8])
    (sequences, steps), (expected, expected_steps) = decoded(generator, wide), decoded(generator, narrow)

    assert torch.equal(sequences, expected)
    assert torch.allclose(steps[..., :8].exp(), expected_steps.exp())
    assert steps[..., 8:].eq(float("-inf")).all()


def test_four_real_candidates_give_lists_of_four(make_requests, make_generator) -> None:
    sequences, steps = decoded(make_generator(6), make_requests(2, n=12, slots=6, real=[4, 12]))

    assert sorted(sequences[0].tolist()) == [-1, -1, 0, 1, 2, 3]
    assert sequences[0, 4:].tolist() == [-1, -1]
    assert not steps[0, 4:].isfinite().any()
    assert len(set(sequences[1].tolist())) == 6


@pytest.mark.parametrize("settings", VARIANTS)
def test_probabilities_sum_to_one_over_what_remains(make_requests, make_generator, settings) -> None:
    requests = make_requests(2, real=[8, 5])
    sequences = torch.tensor([[[3, 1, 0, 2], [0, 1, 2, 3]]] * 2)
    probabilities = forced(make_generator(**settings), requests, sequences).exp()
    expected = requests.mask[:, None, None].expand(2, 2, 4, 8).clone()
    for k, sequence in enumerate(sequences[0].tolist()):
        for slot in range(1, 4):
            expected[:, k, slot, sequence[:slot]] = False

    assert torch.equal(probabilities > 0, expected)
    assert torch.allclose(probabilities.sum(-1), torch.ones(2, 2, 4, dtype=torch.float64))


@pytest.mark.parametrize("settings", VARIANTS)
def test_a_step_sees_earlier_choices_in_order_and_no_later_ones(
    make_requests, make_generator, settings
) -> None:
    requests, generator = make_requests(1), make_generator(**settings)
    sequences = torch.tensor([[[0, 1, 2, 3], [0, 1, 4, 5], [1, 0, 2, 3]]])
    first, later, swapped = forced(generator, requests, sequences)[0]

    assert torch.allclose(first[:3].exp(), later[:3].exp(), atol=1e-12)
    assert not torch.allclose(first[3].exp(), later[3].exp(), atol=1e-4)
    assert not torch.allclose(first[2].exp(), swapped[2].exp(), atol=1e-4)


@pytest.mark.parametrize("field", [0, 1])
def test_the_list_depends_on_user_and_context(make_requests, make_generator, field: int) -> None:
    requests, generator = make_requests(1), make_generator()
    static = requests.static.clone()
    static[:, field] = (static[:, field] + 1) % 4
    one, other = (
        decoded(generator, replace(requests, static=s))[1][:, 0].exp() for s in (requests.static, static)
    )

    assert not torch.allclose(one, other, atol=1e-4)


def test_only_the_user_starts_the_decoder(make_requests, make_generator) -> None:
    requests, generator = make_requests(1), make_generator()
    encoded = generator.encode(requests.static, requests.candidates, requests.mask)
    user = generator.features.static(requests.static)[:, 0]

    assert torch.allclose(encoded.start, generator.start(user))


@pytest.mark.parametrize("item_input", ["encoder", "feature"])
def test_a_chosen_item_feeds_back_its_encoder_or_its_feature_row(
    make_requests, make_generator, item_input: str
) -> None:
    requests, generator = make_requests(1), make_generator(item_input=item_input)
    encoded = generator.encode(requests.static, requests.candidates, requests.mask)
    vectors, _ = generator.features(requests.static, requests.candidates)

    assert torch.equal(encoded.inputs, encoded.memory if item_input == "encoder" else vectors)


def test_pointer_scaling_divides_by_the_root_of_the_width(make_requests, make_generator) -> None:
    requests, sequences = make_requests(1), torch.tensor([[[0, 1, 2, 3]]])
    scaled, plain = (
        forced(make_generator(pointer_scaling=on), requests, sequences)[0, 0, 0] for on in (True, False)
    )

    assert torch.allclose((scaled - scaled[0]) * math.sqrt(8), plain - plain[0])
    assert (plain - plain[0]).abs().max() > 0.1


def test_what_was_chosen_before_excludes_the_step_itself() -> None:
    chosen = chosen_before(torch.tensor([2, 0, -1]), 3)

    assert chosen.tolist() == [[False] * 3, [False, False, True], [True, False, True]]


def test_a_generator_can_be_built_without_user_fields(sizes, make_requests) -> None:
    requests = make_requests(2, n=5, slots=3)
    generator = build_generator(sizes[1:], 3, GeneratorConfig(layers=1)).eval()
    sequences, _ = generator.greedy_decode(requests.static[:, 1:], requests.candidates, requests.mask)

    assert all(len(set(sequence)) == 3 for sequence in sequences.tolist())


def probability(generator: OnlineGenerator, requests: Requests, lists: torch.Tensor) -> torch.Tensor:
    """Returns the log-probability of lists [b, k, t]."""
    steps = forced(generator, requests, lists)
    chosen = steps.gather(-1, lists.clamp(min=0)[..., None])[..., 0]
    return chosen.masked_fill(lists < 0, 0.0).sum(-1)


@pytest.mark.parametrize("settings", VARIANTS)
def test_a_beam_of_one_is_the_greedy_decode(make_requests, make_generator, settings) -> None:
    requests, generator = make_requests(4, real=[8, 6, 4, 2]), make_generator(**settings)
    sequences, steps = Decoding(generator, 1).decode(requests.static, requests.candidates, requests.mask)
    own = generator.beam_decode(requests.static, requests.candidates, requests.mask, 1)

    assert torch.equal(own[0], sequences)
    assert torch.equal(own[1].isfinite(), steps.isfinite())
    assert torch.allclose(own[1].exp(), steps.exp(), atol=1e-6)


@pytest.mark.parametrize("settings", VARIANTS)
def test_a_beam_of_all_prefixes_finds_the_most_probable_list(make_requests, make_generator, settings) -> None:
    requests, generator = make_requests(3, n=4, slots=3), make_generator(3, **settings)
    every = torch.tensor(list(itertools.permutations(range(4), 3)))[None].expand(3, -1, -1)
    best = every[0][probability(generator, requests, every).argmax(1)]

    sequences, steps = generator.beam_decode(requests.static, requests.candidates, requests.mask, 24)

    assert torch.equal(sequences, best)
    alone = forced(generator, requests, sequences[:, None])[:, 0]
    assert torch.allclose(steps.exp(), alone.exp(), atol=1e-6)


def test_a_wider_beam_finds_no_less_probable_lists_and_ends_short_ones(make_requests, make_generator) -> None:
    requests, generator = make_requests(6, real=[8, 6, 4, 3, 2, 1]), make_generator()
    greedy, _ = decoded(generator, requests)
    beam, steps = generator.beam_decode(requests.static, requests.candidates, requests.mask, 5)

    lists = torch.stack([greedy, beam], 1)
    by_greedy, by_beam = probability(generator, requests, lists).unbind(1)
    assert (by_beam >= by_greedy - 1e-5).all()
    assert torch.equal(beam < 0, greedy < 0)
    assert not steps.isnan().any()


@pytest.mark.parametrize("beam_size", [0, 17])
def test_a_beam_out_of_range_is_refused(beam_size: int) -> None:
    with pytest.raises(ValueError, match=f"beam_size is {beam_size}; allowed: 1 to 16"):
        GeneratorConfig(beam_size=beam_size)
