"""MovieLens-1M as a request log: consecutive ratings of a user stand in for exposed lists."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from degre_pipeline.reranker.checked_settings import check_types
from degre_pipeline.sources.movielens_files import MOVIES, RATINGS, USERS, read_lines
from degre_pipeline.sources.negatives import sample_negatives
from degre_pipeline.sources.request_log import RequestLog, conform

SAMPLED_NEGATIVES = "sampled_negatives"
LOGGED = "logged"
VARIANTS = (SAMPLED_NEGATIVES, LOGGED)

HELD_OUT_BLOCKS = 2
"""The last blocks of each user, one for validation and one for test, never counted in popularities."""


@dataclass(frozen=True, kw_only=True)
class MovieLensConfig:
    """How lists are cut out of MovieLens-1M.

    Attributes:
        folder: Folder with ratings.dat, users.dat and movies.dat.
        variant: "sampled_negatives": a list's own items and sampled movies the user never rated are the
            candidates. "logged": consecutive ratings are the candidates, the first of them in time the list.
        seed: Seed of the negatives and of the candidates' order.
        list_length: Slots of an exposed list.
        candidates: Candidates of a request.
        positive_rating: A rating from this one on is a click.
        negative_exponent: A movie is drawn as a negative in proportion to its popularity to this power.
        history: Most movies in a request's `liked`: those that its user clicked last, before it.

    Raises: ValueError if a value lies outside what is allowed.
    Source: DeGRe (arXiv 2605.25749), data description: 12 candidates, lists of 6, clicks from rating 5 on.
        Differs: the paper does not say where negatives come from; the exponent is word2vec's.
    """

    folder: str
    variant: str
    seed: int
    list_length: int = 6
    candidates: int = 12
    positive_rating: int = 5
    negative_exponent: float = 0.75
    history: int = 20

    def __post_init__(self) -> None:
        """Checks every value."""
        check_types(self)
        _allow("variant", self.variant, self.variant in VARIANTS, f"one of {list(VARIANTS)}")
        _allow("list_length", self.list_length, self.list_length >= 1, "1 or more")
        enough = self.candidates >= self.list_length
        _allow("candidates", self.candidates, enough, f"list_length ({self.list_length}) or more")
        _allow("positive_rating", self.positive_rating, 1 <= self.positive_rating <= 5, "1 to 5")
        _allow("history", self.history, self.history >= 0, "0 or more")
        _allow("negative_exponent", self.negative_exponent, 0 <= self.negative_exponent <= 1, "0 to 1")

    @property
    def block_length(self) -> int:
        """Consecutive ratings that make one request."""
        return self.list_length if self.variant == SAMPLED_NEGATIVES else self.candidates


def read_movielens(config: MovieLensConfig) -> RequestLog:
    """Returns the request log of MovieLens-1M.

    A user's ratings, sorted by timestamp and within one second by their order in the file, are cut into
    consecutive blocks; what does not fill a block is dropped. `requests` also holds `block` (counted from 0
    within the user), `blocks_of_user` and `liked`, the movies that the user clicked in earlier blocks, joined
    by "|", the last one first. Ranking scores are unknown. Times are UTC.

    Raises: FileNotFoundError or ValueError if a file is missing or a line has another form; ValueError if a
        rating names an unknown user or movie, or no user has enough ratings for one block.
    """
    ratings = read_lines(config.folder, RATINGS)
    users = read_lines(config.folder, USERS).drop(columns="line_number")
    movies = read_lines(config.folder, MOVIES).drop(columns="line_number")
    _check_references(ratings, "user_id", users, USERS.file_name)
    _check_references(ratings, "item_id", movies, MOVIES.file_name)
    logged = cut_blocks(ratings, config.block_length)
    if logged.empty:
        raise ValueError(
            f"No user in {config.folder}/{RATINGS.file_name} has {config.block_length} ratings, "
            "as many as one request needs."
        )
    log = RequestLog(
        requests=_requests(logged, config),
        candidates=_candidates(logged, ratings, movies, config),
        exposures=_exposures(logged, config),
        users=users,
        items=movies,
    )
    return conform(log)


def cut_blocks(ratings: pd.DataFrame, block_length: int) -> pd.DataFrame:
    """Returns the ratings of full blocks with `request_id`, `block`, `blocks_of_user` and `place`.

    Rows are in the order of request and place, so that a column reshapes to [requests, block_length].
    """
    connection = ibis.duckdb.connect()
    try:
        table = ibis.memtable(pa.Table.from_pandas(ratings, preserve_index=False))
        logged: pd.DataFrame = connection.to_pyarrow(_number_blocks(table, block_length)).to_pandas()
    finally:
        connection.disconnect()
    return logged.assign(request_id=np.arange(len(logged), dtype=np.int64) // block_length)


def _number_blocks(ratings: ibis.Table, block_length: int) -> ibis.Table:
    """Numbers each user's ratings in time and keeps those of full blocks."""
    in_time = ibis.window(group_by=ratings.user_id, order_by=[ratings.timestamp, ratings.line_number])
    of_user = ibis.window(group_by=ratings.user_id)
    numbered = ratings.mutate(
        position=ibis.row_number().over(in_time),
        blocks_of_user=ratings.user_id.count().over(of_user) // block_length,
    )
    blocks = numbered.mutate(
        block=numbered.position // block_length,
        place=numbered.position % block_length,
    )
    full = blocks.filter(blocks.block < blocks.blocks_of_user)
    return full.drop("position", "line_number").order_by("user_id", "block", "place")


def training_popularity(logged: pd.DataFrame, item_ids: pd.Index) -> NDArray[np.int64]:
    """Counts each movie's ratings in training blocks, [items].

    A user's last two blocks are left out, unless the user has so few that all blocks train.
    """
    last_training_block = logged["blocks_of_user"] - HELD_OUT_BLOCKS - 1
    trains = (logged["block"] <= last_training_block) | (last_training_block < 0)
    counts = logged.loc[trains, "item_id"].value_counts()
    return np.asarray(counts.reindex(item_ids, fill_value=0), dtype=np.int64)


def _requests(logged: pd.DataFrame, config: MovieLensConfig) -> pd.DataFrame:
    """Takes time and context from a request's first rating, and what its user liked from earlier blocks."""
    first = logged.loc[logged["place"] == 0].reset_index(drop=True)
    requested_at = pd.to_datetime(first["timestamp"], unit="s")
    columns = first[["request_id", "user_id"]].assign(
        requested_at=requested_at,
        hour=requested_at.dt.hour,
        weekday=requested_at.dt.day_of_week,
        liked=liked_before(logged, config.positive_rating, config.history),
    )
    return columns.join(first[["block", "blocks_of_user"]]).astype({"hour": "int64", "weekday": "int64"})


def liked_before(logged: pd.DataFrame, positive_rating: int, most: int) -> list[str]:
    """Returns the movies that each block's user rated as a click in earlier blocks, joined by "|".

    Args:
        logged: The ratings of full blocks, in the order of users, blocks and places.
        positive_rating: A rating from this one on is a click.
        most: Movies that are kept, the last ones; the last one comes first.
    """
    found: list[str] = []
    before: list[str] = []
    items = logged["item_id"].astype(str).to_numpy()
    clicked = (logged["rating"] >= positive_rating).to_numpy()
    starts = np.flatnonzero(logged["place"] == 0)
    blocks = logged["block"].to_numpy()[starts]
    for start, end, block in zip(starts, [*starts[1:], len(logged)], blocks, strict=True):
        if block == 0:
            before = []
        found.append("|".join(before))
        before = [*items[start:end][clicked[start:end]][::-1], *before][:most]
    return found


def _exposures(logged: pd.DataFrame, config: MovieLensConfig) -> pd.DataFrame:
    shown = logged.loc[logged["place"] < config.list_length]
    return pd.DataFrame(
        {
            "request_id": shown["request_id"],
            "slot": shown["place"] + 1,
            "item_id": shown["item_id"],
            "click": (shown["rating"] >= config.positive_rating).astype("int64"),
        }
    )


def _candidates(
    logged: pd.DataFrame, ratings: pd.DataFrame, movies: pd.DataFrame, config: MovieLensConfig
) -> pd.DataFrame:
    """Hands over each block's movies and its negatives, shuffled so that the order tells nothing."""
    generator = np.random.default_rng(config.seed)
    block_items = logged["item_id"].to_numpy().reshape(-1, config.block_length)
    negatives = _negatives(logged, ratings, movies, config, generator)
    items = generator.permuted(np.concatenate([block_items, negatives], axis=1), axis=1)
    requests, candidates = items.shape
    return pd.DataFrame(
        {
            "request_id": np.repeat(np.arange(requests), candidates),
            "candidate_index": np.tile(np.arange(candidates), requests),
            "item_id": items.ravel(),
        }
    )


def _negatives(
    logged: pd.DataFrame,
    ratings: pd.DataFrame,
    movies: pd.DataFrame,
    config: MovieLensConfig,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Samples movie ids the user never rated, [requests, candidates - block_length]."""
    users, movie_ids = pd.Index(ratings["user_id"].unique()), pd.Index(movies["item_id"])
    met = np.zeros((len(users), len(movie_ids)), dtype=np.bool_)
    met[users.get_indexer(ratings["user_id"]), movie_ids.get_indexer(ratings["item_id"])] = True
    popularity = training_popularity(logged, movie_ids).astype(np.float64)
    weights = np.where(popularity > 0, popularity**config.negative_exponent, 0.0)
    owner = users.get_indexer(logged.loc[logged["place"] == 0, "user_id"])
    count = config.candidates - config.block_length
    positions = sample_negatives(met, owner, weights, count, generator)
    return np.asarray(movie_ids, dtype=np.int64)[positions]


def _check_references(ratings: pd.DataFrame, column: str, known: pd.DataFrame, file_name: str) -> None:
    unknown = ~ratings[column].isin(known[column])
    if unknown.any():
        row = ratings.loc[unknown].iloc[0]
        raise ValueError(
            f"{RATINGS.file_name}, line {row['line_number']}: {column} {row[column]} is unknown, "
            f"allowed are the ones in {file_name}."
        )


def _allow(name: str, value: object, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"MovieLensConfig.{name} is {value!r}, allowed is {allowed}.")


if __name__ == "__main__":
    from degre_pipeline.sources.movielens_archive import main

    main()
