from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from degre_pipeline.sources.movielens import (
    LOGGED,
    SAMPLED_NEGATIVES,
    MovieLensConfig,
    cut_blocks,
    read_movielens,
    training_popularity,
)
from degre_pipeline.sources.request_log import RequestLog


def config_of(folder: Path, variant: str = SAMPLED_NEGATIVES, **settings: float) -> MovieLensConfig:
    sizes = {"list_length": 2, "candidates": 4, **settings}
    return MovieLensConfig(folder=str(folder), variant=variant, seed=5, **sizes)  # type: ignore[arg-type]


@pytest.fixture
def log(movielens_folder: Path) -> RequestLog:
    return read_movielens(config_of(movielens_folder))


def shown(log: RequestLog) -> list[list[int]]:
    return log.exposures.groupby("request_id")["item_id"].apply(list).tolist()


def test_lists_are_consecutive_ratings_by_time_then_file_order(log: RequestLog) -> None:
    # User 1 rated 11 first, then 10 and 12 in one second; 16 is the tail, like user 2's 21.
    assert shown(log) == [
        [11, 10], [12, 13], [14, 15],
        [10, 12], [14, 16], [17, 18], [19, 20],
        [10, 21],
        [22, 23], [24, 25],
    ]  # fmt: skip
    assert list(log.requests["request_id"]) == list(range(10))
    assert list(log.requests["user_id"]) == [1, 1, 1, 2, 2, 2, 2, 3, 4, 4]
    assert list(log.requests["block"]) == [0, 1, 2, 0, 1, 2, 3, 0, 0, 1]
    assert list(log.requests["blocks_of_user"]) == [3, 3, 3, 4, 4, 4, 4, 1, 2, 2]


def test_file_order_decides_within_a_second_even_against_the_item_id(movielens_folder: Path) -> None:
    lines = (movielens_folder / "ratings.dat").read_text(encoding="latin-1")
    swapped = (
        lines.replace("1::10::5::100", "X")
        .replace("1::12::5::100", "1::10::5::100")
        .replace("X", "1::12::5::100")
    )
    (movielens_folder / "ratings.dat").write_text(swapped, encoding="latin-1")

    assert shown(read_movielens(config_of(movielens_folder)))[:2] == [[11, 12], [10, 13]]


def test_a_click_is_a_rating_of_five(log: RequestLog, movielens_folder: Path) -> None:
    assert list(log.exposures["click"][:6]) == [0, 1, 1, 0, 0, 1]
    assert list(log.exposures["slot"][:6]) == [1, 2, 1, 2, 1, 2]

    lenient = read_movielens(replace(config_of(movielens_folder), positive_rating=3))

    assert list(lenient.exposures["click"][:6]) == [1, 1, 1, 1, 0, 1]


def test_time_and_context_come_from_the_first_rating(log: RequestLog) -> None:
    first = log.requests.loc[log.requests["user_id"] == 2].iloc[0]

    assert first["requested_at"] == pd.Timestamp("1970-01-02 00:00:00")
    assert (first["hour"], first["weekday"]) == (0, 4)  # a Friday


def test_what_a_user_liked_comes_from_earlier_blocks_the_last_one_first(log: RequestLog) -> None:
    clicked = log.exposures.groupby("request_id")[["item_id", "click"]].apply(
        lambda rows: rows.loc[rows["click"] == 1, "item_id"].astype(str).tolist()
    )
    expected: list[str] = []
    for request, user in zip(log.requests["request_id"], log.requests["user_id"], strict=True):
        earlier = log.requests[(log.requests["user_id"] == user) & (log.requests["request_id"] < request)]
        expected.append("|".join(item for one in earlier["request_id"][::-1] for item in clicked[one][::-1]))

    assert list(log.requests["liked"]) == expected
    assert sum(map(bool, expected)) > 2


def test_only_the_last_liked_movies_are_kept(movielens_folder: Path) -> None:
    long, short, none = (
        read_movielens(replace(config_of(movielens_folder), history=most)).requests["liked"]
        for most in (20, 1, 0)
    )

    assert max(long.str.count(r"\|")) > 0
    assert short.tolist() == [one.split("|")[0] for one in long]
    assert set(none) == {""}


def test_candidates_are_the_list_and_movies_the_user_never_rated(log: RequestLog) -> None:
    rated = {1: set(range(10, 17)), 2: {10, 12, 14, 16, 17, 18, 19, 20, 21}, 3: {10, 21}, 4: {22, 23, 24, 25}}
    users = dict(zip(log.requests["request_id"], log.requests["user_id"], strict=True))
    for request_id, rows in log.candidates.groupby("request_id"):
        own = set(log.exposures.loc[log.exposures["request_id"] == request_id, "item_id"])
        handed_over = set(rows["item_id"])
        assert list(rows["candidate_index"]) == [0, 1, 2, 3]
        assert len(handed_over) == 4
        assert own <= handed_over
        assert not (handed_over - own) & rated[users[request_id]]
    assert log.exposures["candidate_index"].notna().all()
    assert log.candidates["ranking_score"].isna().all()


def test_the_place_among_the_candidates_does_not_tell_what_was_shown(movielens_folder: Path) -> None:
    index = pd.concat(
        [
            read_movielens(replace(config_of(movielens_folder), seed=seed)).exposures["candidate_index"]
            for seed in range(5)
        ]
    )

    # 100 shown items over 4 places: 25 each, five standard errors are 22.
    assert index.value_counts().between(3, 47).sum() == 4


def test_the_seed_decides_the_candidates(movielens_folder: Path) -> None:
    first, again = (read_movielens(config_of(movielens_folder)) for _ in range(2))
    other = read_movielens(replace(config_of(movielens_folder), seed=6))

    pd.testing.assert_frame_equal(first.candidates, again.candidates)
    assert not first.candidates.equals(other.candidates)
    pd.testing.assert_frame_equal(first.requests, other.requests)


def test_popularity_counts_training_blocks_alone() -> None:
    # User 1 has three blocks, so only its first trains; user 2 has two, which both train.
    ratings = pd.DataFrame(
        {
            "user_id": [1] * 6 + [2] * 4,
            "item_id": [10, 11, 12, 13, 14, 15, 10, 12, 13, 15],
            "rating": 5,
            "timestamp": range(10),
            "line_number": range(1, 11),
        }
    )

    popularity = training_popularity(cut_blocks(ratings, 2), pd.Index(range(10, 17)))

    assert list(popularity) == [2, 1, 1, 1, 0, 1, 0]


def test_movies_seen_only_in_held_out_blocks_are_no_negatives(log: RequestLog) -> None:
    # Training blocks: user 1's first, user 2's first two, all of users 3 and 4.
    trained = {11, 10, 12, 14, 16, 21, 22, 23, 24, 25}
    own = log.exposures.set_index(["request_id", "item_id"]).index
    candidates = log.candidates.set_index(["request_id", "item_id"]).index

    assert set(candidates.difference(own).get_level_values("item_id")) <= trained


def test_logged_variant_shows_the_first_of_the_logged_candidates(movielens_folder: Path) -> None:
    log = read_movielens(config_of(movielens_folder, LOGGED))

    assert shown(log) == [[11, 10], [10, 12], [17, 18], [22, 23]]
    handed_over = log.candidates.groupby("request_id")["item_id"].apply(set).tolist()
    assert handed_over == [{10, 11, 12, 13}, {10, 12, 14, 16}, {17, 18, 19, 20}, {22, 23, 24, 25}]


def test_features_of_users_and_items(log: RequestLog) -> None:
    assert list(log.users.columns) == ["user_id", "gender", "age", "occupation"]
    assert list(log.users.iloc[1]) == [2, "M", 56, 16]
    assert list(log.items.columns) == ["item_id", "title", "year", "genres"]
    assert list(log.items.iloc[-1]) == [29, "Été, L' (1929)", 1929, "Drama|Noir"]


def test_a_missing_file_says_where_to_get_it(movielens_folder: Path) -> None:
    (movielens_folder / "users.dat").unlink()

    with pytest.raises(
        FileNotFoundError, match=r"users\.dat does not exist.*grouplens\.org.*make ml1m-data ZIP="
    ):
        read_movielens(config_of(movielens_folder))


@pytest.mark.parametrize(
    ("file_name", "line", "message"),
    [
        (
            "ratings.dat",
            "1::10::5",
            r"ratings\.dat, line 23: cannot read '1::10::5', expected UserID::MovieID",
        ),
        ("ratings.dat", "1::10::6::100", r"ratings\.dat, line 23: .*rating from 1 to 5"),
        ("users.dat", "5::X::25::3::1", r"users\.dat, line 5: .*'5::X::25::3::1', expected .*gender F or M"),
        (
            "movies.dat",
            "40::No year::Drama",
            r"movies\.dat, line 21: .*'40::No year::Drama', expected .*Year",
        ),
        ("ratings.dat", "9::10::5::100", r"line 23: user_id 9 is unknown, .*in users\.dat"),
        ("ratings.dat", "1::99::5::100", r"line 23: item_id 99 is unknown, .*in movies\.dat"),
    ],
)
def test_a_bad_line_is_named(movielens_folder: Path, file_name: str, line: str, message: str) -> None:
    path = movielens_folder / file_name
    path.write_text(path.read_text(encoding="latin-1") + line + "\n", encoding="latin-1")

    with pytest.raises(ValueError, match=message):
        read_movielens(config_of(movielens_folder))


def test_an_empty_file_is_named(movielens_folder: Path) -> None:
    (movielens_folder / "ratings.dat").write_text("")

    with pytest.raises(ValueError, match=r"ratings\.dat has 0 lines, expected"):
        read_movielens(config_of(movielens_folder))


def test_windows_line_ends_and_a_missing_last_one_are_read(movielens_folder: Path, log: RequestLog) -> None:
    path = movielens_folder / "ratings.dat"
    path.write_bytes(path.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n"))

    pd.testing.assert_frame_equal(read_movielens(config_of(movielens_folder)).exposures, log.exposures)


def test_too_few_ratings_are_reported(movielens_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"No user in .*ratings\.dat has 10 ratings"):
        read_movielens(config_of(movielens_folder, list_length=10, candidates=10))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("variant", "random", r"one of \['sampled_negatives', 'logged'\]"),
        ("list_length", 0, "1 or more"),
        ("candidates", 5, r"list_length \(6\) or more"),
        ("positive_rating", 6, "1 to 5"),
        ("negative_exponent", 1.5, "0 to 1"),
    ],
)
def test_bad_settings_are_named(name: str, value: object, allowed: str) -> None:
    settings: dict[str, object] = {"folder": ".", "variant": LOGGED, "seed": 0, name: value}

    with pytest.raises(ValueError, match=rf"MovieLensConfig\.{name} is {value!r}, allowed is {allowed}"):
        MovieLensConfig(**settings)  # type: ignore[arg-type]
