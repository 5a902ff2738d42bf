from dataclasses import replace

import pytest
import torch

from degre_pipeline.reranker.requests import Requests, gather_candidates


def test_candidates_are_gathered_by_index() -> None:
    rows = torch.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])

    assert gather_candidates(rows, torch.tensor([[1], [0]])).tolist() == [[[3, 4]], [[5, 6]]]
    assert gather_candidates(rows[..., 0], torch.tensor([[[1, 0]], [[0, 0]]])).tolist() == [
        [[3, 1]],
        [[5, 5]],
    ]


def test_a_split_and_role_are_selected(make_requests) -> None:
    requests = make_requests(4)
    requests.split[1:] = 1
    requests.role[2] = 1

    assert requests.of("validation").request_id.tolist() == [101, 102, 103]
    assert requests.of("validation", "mining").request_id.tolist() == [101, 103]
    assert requests.of("validation", "external").request_id.tolist() == [102]


@pytest.mark.parametrize(
    ("split", "role", "message"),
    [
        ("dev", None, "split is 'dev'; allowed: train, validation, test"),
        ("train", "teacher", "role is 'teacher'; allowed: mining, external"),
        ("test", "mining", "no request has split 'test' and role 'mining'"),
    ],
)
def test_a_selection_without_requests_is_named(make_requests, split, role, message) -> None:
    with pytest.raises(ValueError, match=message):
        make_requests().of(split, role)


def test_batches_hold_every_request_once_in_order(make_requests) -> None:
    parts = list(make_requests(5).batches(2))

    assert [part.request_id.tolist() for part in parts] == [[100, 101], [102, 103], [104]]


def test_requests_survive_their_stored_form(make_requests) -> None:
    requests = make_requests()
    restored = Requests.from_tensors(requests.to_tensors())

    assert all(
        torch.equal(tensor, restored.to_tensors()[name]) for name, tensor in requests.to_tensors().items()
    )


def test_incomplete_tensors_are_named(make_requests) -> None:
    tensors = make_requests().to_tensors()

    with pytest.raises(ValueError, match=r"request tensors lack \['clicks'\]"):
        Requests.from_tensors({name: tensor for name, tensor in tensors.items() if name != "clicks"})
    with pytest.raises(ValueError, match=r"differ in length.*'mask': 2"):
        Requests.from_tensors(tensors | {"mask": tensors["mask"][:2]})


def test_rows_come_in_the_order_asked_for(make_requests):
    requests = make_requests(b=4)
    assert requests.with_ids(torch.tensor([102, 100])).request_id.tolist() == [102, 100]
    with pytest.raises(
        ValueError, match=r"request 7 of the lists is not among the request tensors \(1 such\)"
    ):
        requests.with_ids(torch.tensor([102, 7]))


def test_the_whole_log_leaves_the_test_to_end_the_training_and_shares_nothing_out(make_requests) -> None:
    split, role = torch.tensor([0, 1, 2, 0], dtype=torch.uint8), torch.tensor([0, 1, 1, 1], dtype=torch.uint8)
    whole = replace(make_requests(4), split=split, role=role).as_whole_log()

    assert whole.of("train", "mining").request_id.tolist() == [100, 101, 103]
    assert whole.of("validation", "mining").request_id.tolist() == [102]


def test_other_lists_are_shown_without_clicks(make_requests) -> None:
    requests = make_requests(2, n=3, slots=3)
    lists = torch.tensor([[2, 0, -1], [1, 2, 0]])
    other = requests.showing(lists)

    assert torch.equal(other.shown, lists)
    assert other.clicks.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert torch.equal(requests.joined(other).exposed, torch.cat([requests.exposed, lists.clamp(min=0)]))


def test_clicked_requests_are_those_with_a_click(make_requests) -> None:
    requests = replace(make_requests(3), clicks=torch.tensor([[0.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]]))
    assert requests.clicked().request_id.tolist() == [101, 102]
