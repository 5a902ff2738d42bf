import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from degre_pipeline.sources.split_report import describe_splits, nearly_empty_days
from degre_pipeline.sources.splits import HeldOut, assign_splits, places_in_time, uniform_hash


def requests_of(users: list[str], times: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"request_id": range(len(users)), "user_id": users, "requested_at": pd.to_datetime(times)}
    )


@pytest.fixture
def requests() -> pd.DataFrame:
    days = ["2024-05-13", "2024-05-14", "2024-05-15", "2024-05-17"]
    return requests_of(
        ["ann", "bob", "cat", "bob"] * 10, [day + " 23:59:59" for day in days for _ in range(10)]
    )


def test_by_day_tests_on_the_last_day_and_validates_on_the_one_before(requests: pd.DataFrame) -> None:
    splits = assign_splits(requests, "by_day", 0.5, seed=1)

    assert list(splits["split"]) == ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    assert list(splits["request_id"]) == list(requests["request_id"])


def test_leave_one_out_holds_out_each_users_last_two() -> None:
    # Ann's last two share their time: the greater request id counts as later. Cat has two requests only.
    users = ["ann", "ann", "ann", "bob", "bob", "bob", "bob", "cat", "cat", "ann"]
    times = [f"2024-05-{day}" for day in (15, 15, 13, 19, 16, 17, 18, 11, 12, 12)]

    splits = assign_splits(requests_of(users, times), "leave_one_out", 0.5, seed=2)

    assert list(splits["split"]) == [
        "validation", "test", "train",
        "test", "train", "train", "validation",
        "train", "train", "train",
    ]  # fmt: skip


def test_places_are_those_in_time_by_day() -> None:
    times = ["2024-05-15", "2024-05-13", "2024-05-14", "2024-05-13"]

    # Requests 1 and 3 share their time: the smaller id is earlier.
    assert places_in_time(requests_of(["ann"] * 4, times), "by_day").tolist() == [3, 0, 2, 1]


def test_places_of_leave_one_out_follow_the_share_of_each_users_requests() -> None:
    # Ann's four have half a request, one and a half, … of four before them: 1/8, 3/8, 5/8, 7/8. Bob's two
    # have 1/4 and 3/4, though he came years later. Cat's single one has 1/2.
    users = ["ann", "ann", "bob", "ann", "cat", "ann", "bob"]
    times = ["2001-01-01", "2001-01-02", "2009-01-01", "2001-01-03", "2005-01-01", "2001-01-04", "2009-01-02"]

    places = places_in_time(requests_of(users, times), "leave_one_out")

    assert places.tolist() == [0, 2, 1, 4, 3, 6, 5]


def test_roles_follow_the_share_and_the_seed() -> None:
    ids = np.arange(40_000)

    # Five standard errors of a share of 0.3 over 40,000 are 0.0115.
    assert (uniform_hash(ids, 5) < 0.3).mean() == pytest.approx(0.3, abs=0.0115)
    assert ((uniform_hash(ids, 5) < 0.3) == (uniform_hash(ids, 6) < 0.3)).mean() == pytest.approx(
        0.58, abs=0.0125
    )


def test_hash_stays_the_same_between_versions() -> None:
    # SplitMix64 yields 0xE220A8397B1DCDAF first from state 0; an id equal to the mixed seed undoes the seed.
    unseeded = np.array([0xE220A8397B1DCDAF], dtype=np.uint64).astype(np.int64)

    assert uniform_hash(unseeded, 0)[0] == (0xE220A8397B1DCDAF >> 11) / 2**53


@settings(max_examples=30, deadline=None)
@given(
    days=st.lists(st.integers(0, 6), min_size=30, max_size=60),
    strategy=st.sampled_from(["by_day", "by_time", "leave_one_out"]),
    shuffling=st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_nothing(days: list[int], strategy: str, shuffling: object) -> None:
    days[:3] = [0, 1, 2]
    start = pd.Timestamp("2024-05-13")
    requests = pd.DataFrame(
        {
            "request_id": range(100, 100 + len(days)),
            "user_id": [number % 7 for number in range(len(days))],
            "requested_at": [start + pd.Timedelta(days=day) for day in days],
        }
    )
    # A whole first day of training requests, so that both roles train however the days fall.
    early = requests.assign(
        request_id=requests["request_id"] + 1000, requested_at=start - pd.Timedelta(days=9)
    )
    both = pd.concat([requests, early])
    order = list(range(len(both)))
    shuffling.shuffle(order)  # type: ignore[attr-defined]

    try:
        plain = assign_splits(both, strategy, 0.5, seed=3).set_index("request_id")
    except ValueError:  # few requests can leave a role of the validation split without any
        reject()
    turned = assign_splits(both.iloc[order], strategy, 0.5, seed=3).set_index("request_id")

    pd.testing.assert_frame_equal(turned.loc[plain.index], plain)
    assert set(plain["split"]) == {"train", "validation", "test"}


def test_two_days_are_too_few(requests: pd.DataFrame) -> None:
    with pytest.raises(
        ValueError, match=r"covers 2 day\(s\), \['2024-05-13', '2024-05-14'\].*needs 3 or more"
    ):
        assign_splits(requests.head(20), "by_day", 0.5, seed=1)


def test_bad_arguments_are_named(requests: pd.DataFrame) -> None:
    with pytest.raises(
        ValueError, match=r"strategy is 'random', allowed is one of \['by_day', 'by_time', 'leave_one_out'\]"
    ):
        assign_splits(requests, "random", 0.5, seed=1)
    with pytest.raises(ValueError, match=r"external_share is 1.0, allowed is more than 0"):
        assign_splits(requests, "by_day", 1.0, seed=1)


def test_a_role_without_training_requests_is_reported(requests: pd.DataFrame) -> None:
    with pytest.raises(
        ValueError, match=r"training split of role 'external' has 0 of 40 requests .*share 1e-09"
    ):
        assign_splits(requests, "by_day", 1e-9, seed=1)


def test_several_days_may_be_held_out(requests: pd.DataFrame) -> None:
    splits = assign_splits(requests, "by_day", 0.5, 1, HeldOut(validation_days=1, test_days=2))
    assert list(splits["split"]) == ["train"] * 10 + ["validation"] * 10 + ["test"] * 20
    with pytest.raises(
        ValueError, match=r"covers 4 day\(s\).*needs 5 or more: give more days, or split: by_time"
    ):
        assign_splits(requests, "by_day", 0.5, 1, HeldOut(validation_days=2, test_days=2))


def test_by_time_holds_out_shares_and_keeps_requests_of_one_time_together() -> None:
    hours = pd.Timestamp("2024-05-13") + pd.to_timedelta(np.arange(20), unit="h")
    two_at_once = hours.to_series().reset_index(drop=True)
    two_at_once[17] = two_at_once[16]
    requests = requests_of(["ann"] * 20, list(two_at_once)).sample(frac=1, random_state=0)

    splits = assign_splits(requests, "by_time", 0.5, 3, HeldOut(validation_share=0.25, test_share=0.15))

    in_time = splits.sort_values("request_id")["split"].tolist()
    assert (
        in_time == ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    )  # of 20: 12, 5 and 3, but for the two


def test_a_sparse_last_day_is_named_before_anything_is_trained(requests: pd.DataFrame) -> None:
    sparse = pd.concat([requests.head(20), requests.iloc[[20]], requests.tail(10)])
    with pytest.raises(
        ValueError,
        match=r"validation split of role '\w+' has 0 of 31 requests.*found: test of .* split: by_time",
    ):
        assign_splits(sparse, "by_day", 0.5, seed=1)


class TestReport:
    """What is said of the splits."""

    def test_each_split_is_told_with_its_times(self, requests: pd.DataFrame) -> None:
        lines = list(describe_splits(requests, assign_splits(requests, "by_day", 0.5, seed=1)))
        assert [line.partition(" (")[0] for line in lines] == [
            "train: 20 requests",
            "validation: 10 requests",
            "test: 10 requests",
        ]
        assert lines[2].endswith("from 2024-05-17 23:59 to 2024-05-17 23:59")

    def test_a_held_out_day_that_holds_almost_nothing_is_told(self, requests: pd.DataFrame) -> None:
        late = requests_of(["ann"], ["2099-01-01"]).assign(request_id=1000)
        both = pd.concat([requests.iloc[np.repeat(np.arange(40), 2)].assign(request_id=range(80)), late])
        splits = assign_splits(both, "by_day", 0.5, seed=1)

        assert list(nearly_empty_days(requests, assign_splits(requests, "by_day", 0.5, seed=1))) == []
        (line,) = nearly_empty_days(both, splits)
        assert line.startswith(
            "The test split has 1 request(s) of 2099-01-01, a day of the log has 20 in the"
        )
