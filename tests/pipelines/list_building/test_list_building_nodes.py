from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from degre_pipeline.lists.list_config import ListConfig
from degre_pipeline.pipelines.list_building.nodes import (
    build_lists,
    encode_requests,
    fit_features,
    join_tables,
    measure_scores,
    score_candidates,
)
from degre_pipeline.reranker.features import NO_FEATURES
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING
from degre_pipeline.reranker.ranking_stage import RankingStageConfig
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.request_log import RequestLog

FIELDS: list[dict[str, Any]] = [
    {"name": "city", "kind": "categorical", "group": "user"},
    {"name": "hour", "kind": "numeric", "group": "context", "size": 2},
    {"name": "colour", "kind": "categorical", "group": "item"},
    {"name": "tags", "kind": "tags", "group": "item", "size": 2},
    {"name": "ranking_score", "kind": "numeric", "group": "score", "size": 2},
]


@dataclass(frozen=True)
class Tables:
    """Three requests: 30 tests, 10 and 20 train; rows lie in no order on purpose."""

    requests: pd.DataFrame
    candidates: pd.DataFrame
    exposures: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
    splits: pd.DataFrame

    def lists(self) -> pd.DataFrame:
        return join_tables(self.requests, self.candidates, self.exposures, self.splits)

    def features(self) -> FeatureTables:
        return FeatureTables(self.requests, self.candidates, self.users, self.items)

    def space(self, fields: list[dict[str, Any]] = FIELDS) -> dict[str, Any]:
        return fit_features(self.lists(), self.features(), fields)

    def tensors(self, config: ListConfig = ListConfig(list_length=3)) -> Requests:  # noqa: B008
        return encode_requests(self.lists(), self.features(), self.space(), config)


@pytest.fixture
def tables() -> Tables:
    return Tables(
        requests=pd.DataFrame(
            {"request_id": [30, 10, 20], "user_id": ["cy", "ann", "bob"], "hour": [23, 1, 9]}
        ),
        candidates=pd.DataFrame(
            {
                "request_id": [20, 20, 10, 10, 10, 10, 30, 30],
                "candidate_index": [1, 0, 0, 1, 2, 3, 0, 1],
                "item_id": ["b", "a", "c", "a", "b", "d", "e", "a"],
                "ranking_score": [0.1, 0.9, 0.5, 0.6, 0.7, 0.8, 0.95, 0.2],
            }
        ),
        exposures=pd.DataFrame(
            {
                "request_id": [10, 10, 10, 30, 20, 20],
                "slot": [2, 1, 3, 1, 1, 2],
                "candidate_index": pd.array([0, 3, 1, 1, 0, 1], dtype="Int64"),
                "click": [1, 0, 0, 1, 0, 1],
            }
        ),
        users=pd.DataFrame({"user_id": ["bob", "cy", "ann"], "city": ["Rome", "Kyiv", "Oslo"]}),
        items=pd.DataFrame(
            {
                "item_id": ["d", "c", "e", "b", "a"],
                "colour": ["red", "red", "green", "blue", "blue"],
                "tags": ["x", "x|y", "z", "", "y"],
            }
        ),
        splits=pd.DataFrame(
            {
                "request_id": [10, 20, 30],
                "split": ["train", "train", "test"],
                "role": ["mining", "external", "mining"],
            }
        ),
    )


class TestLists:
    def test_join_candidates_and_what_was_shown_in_order(self, tables: Tables) -> None:
        lists = tables.lists()
        rows = {
            name: [list(array) for array in lists[name]]
            for name in ("candidate_item_ids", "candidate_scores", "exposed_indices", "clicks")
        }

        assert lists["request_id"].tolist() == [10, 20, 30]
        assert lists["user_id"].tolist() == ["ann", "bob", "cy"]
        assert lists["split"].tolist() == ["train", "train", "test"]
        assert lists["role"].tolist() == ["mining", "external", "mining"]
        assert rows["candidate_item_ids"] == [["c", "a", "b", "d"], ["a", "b"], ["e", "a"]]
        assert rows["candidate_scores"] == [[0.5, 0.6, 0.7, 0.8], [0.9, 0.1], [0.95, 0.2]]
        assert rows["exposed_indices"] == [[3, 0, 1], [0, 1], [1]]
        assert rows["clicks"] == [[0, 1, 0], [0, 1], [1]]

    @pytest.mark.parametrize("table", ["candidates", "exposures"])
    def test_a_request_without_rows_is_named(self, tables: Tables, table: str) -> None:
        frame = getattr(tables, table)
        without = replace(tables, **{table: frame[frame["request_id"] != 20]})

        with pytest.raises(
            ValueError, match=f"20 of table requests has no row in table {table} \\(1 such requests\\)"
        ):
            without.lists()

    @pytest.mark.parametrize("table", ["candidates", "exposures"])
    def test_rows_without_their_request_are_named(self, tables: Tables, table: str) -> None:
        requests = tables.requests[tables.requests["request_id"] != 20]
        whole = {"candidates": tables.candidates, "exposures": tables.exposures}
        known = {name: frame[frame["request_id"] != 20] for name, frame in whole.items()} | {
            table: whole[table]
        }

        with pytest.raises(ValueError, match=f"request 20 of table {table} has no row in table requests"):
            join_tables(requests, known["candidates"], known["exposures"], tables.splits)

    def test_an_item_that_was_no_candidate_is_named(self, tables: Tables) -> None:
        exposures = tables.exposures.assign(
            candidate_index=tables.exposures["candidate_index"].mask([False] * 5 + [True])
        )

        with pytest.raises(
            ValueError, match=r"1 exposures show .* no candidate, the first: request 20, slot 2"
        ):
            replace(tables, exposures=exposures).lists()

    def test_have_the_scores_of_the_tables(self, tables: Tables) -> None:
        scored = tables.candidates.assign(ranking_score=tables.candidates["candidate_index"] + 0.5)
        unscored = replace(tables, candidates=tables.candidates.assign(ranking_score=np.nan))
        lists = build_lists(unscored.lists(), replace(tables, candidates=scored).features())

        assert [list(scores) for scores in lists["candidate_scores"]] == [
            [0.5, 1.5, 2.5, 3.5],
            [0.5, 1.5],
            [0.5, 1.5],
        ]
        others = tables.lists().drop(columns="candidate_scores")
        pd.testing.assert_frame_equal(lists.drop(columns="candidate_scores"), others)


class TestFeatures:
    def test_are_fitted_on_what_training_requests_show(self, tables: Tables) -> None:
        space = tables.space()

        assert space.vocabularies == {
            "city": ("Oslo", "Rome"),
            "colour": ("blue", "red"),
            "tags": ("x", "y"),
        }
        assert space.edges == {"hour": (5.0,), "ranking_score": (pytest.approx(0.65),)}

    @pytest.mark.parametrize(
        ("group", "table"),
        [("user", "users"), ("item", "items"), ("context", "requests"), ("score", "candidates")],
    )
    def test_a_field_without_its_column_is_named(self, tables: Tables, group: str, table: str) -> None:
        wrong = {"name": "height", "kind": "numeric", "group": group}

        with pytest.raises(
            ValueError, match=f"field 'height' of group '{group}' is no column of table {table}; columns:"
        ):
            tables.space([*FIELDS, wrong])


class TestTensors:
    def test_by_hand(self, tables: Tables) -> None:
        tensors = tables.tensors()

        assert tensors.request_id.tolist() == [10, 20, 30]
        assert tensors.split.tolist() == [0, 0, 2]
        assert tensors.role.tolist() == [0, 1, 0]
        assert tensors.static.tolist() == [[1, 1], [2, 2], [0, 2]]
        assert tensors.mask.tolist() == [
            [True] * 4,
            [True, True, False, False],
            [True, True, False, False],
        ]
        assert tensors.candidates.tolist() == [
            [[2, 1, 2, 1], [1, 2, 0, 1], [1, 0, 0, 2], [2, 1, 0, 2]],
            [[1, 2, 0, 2], [1, 0, 0, 1], [0] * 4, [0] * 4],
            [[0, 0, 0, 2], [1, 2, 0, 1], [0] * 4, [0] * 4],
        ]
        assert torch.equal(
            tensors.scores, torch.tensor([[0.5, 0.6, 0.7, 0.8], [0.9, 0.1, 0, 0], [0.95, 0.2, 0, 0]])
        )
        assert tensors.exposed.tolist() == [[3, 0, 1], [0, 1, 0], [1, 0, 0]]
        assert tensors.exposed_mask.tolist() == [[True] * 3, [True, True, False], [True, False, False]]
        assert tensors.clicks.tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]

    def test_users_and_items_without_a_row_are_unknown(self, tables: Tables) -> None:
        known = tables.tensors()
        fewer = replace(
            tables,
            users=tables.users[tables.users["user_id"] != "bob"],
            items=tables.items[tables.items["item_id"] != "c"],
        )
        config = ListConfig(list_length=3)
        tensors = encode_requests(fewer.lists(), fewer.features(), tables.space(), config)

        assert tensors.static.tolist() == [[1, 1], [0, 2], [0, 2]]
        assert tensors.candidates[0, 0].tolist() == [0, 0, 0, 1]
        assert torch.equal(tensors.candidates[0, 1:], known.candidates[0, 1:])

    def test_fewer_candidates_than_slots_are_padded_to_the_list_length(self, tables: Tables) -> None:
        tensors = tables.tensors(ListConfig(list_length=6))

        assert tensors.mask.shape == (3, 6)
        assert tensors.mask.sum(1).tolist() == [4, 2, 2]
        assert tensors.exposed_mask.sum(1).tolist() == [3, 2, 1]
        assert tensors.candidates[:, 4:].abs().sum() == 0

    def test_a_longer_list_than_the_list_length_is_named(self, tables: Tables) -> None:
        with pytest.raises(ValueError, match="request 10 shows 3 items; list_length allows 2"):
            tables.tensors(ListConfig(list_length=2))

    def test_do_not_depend_on_the_order_of_rows(self, tables: Tables) -> None:
        shuffled = {name: getattr(tables, name).sample(frac=1, random_state=1) for name in vars(tables)}
        expected, tensors = tables.tensors(), Tables(**shuffled).tensors()

        assert all(
            torch.equal(tensor, getattr(expected, name)) for name, tensor in tensors.to_tensors().items()
        )


@pytest.fixture(scope="module")
def unscored(shop_log: RequestLog) -> RequestLog:
    """Every third request of the small shop, without its scores."""
    kept = shop_log.requests["request_id"].iloc[::3]
    tables = {
        name: table for name, table in shop_log.tables() if name in ("requests", "candidates", "exposures")
    }
    some = {name: table[table["request_id"].isin(kept)] for name, table in tables.items()}
    some["candidates"] = some["candidates"].assign(ranking_score=np.nan, ranking_rank=pd.NA)
    return replace(shop_log, **some)


@pytest.fixture(scope="module")
def splits(unscored: RequestLog) -> pd.DataFrame:
    names = np.resize(["train", "train", "validation", "test"], len(unscored.requests))
    return pd.DataFrame({"request_id": unscored.requests["request_id"], "split": names, "role": "mining"})


class TestScores:
    fields: ClassVar = [
        {"name": "segment", "kind": "categorical", "group": "user"},
        {"name": "category", "kind": "categorical", "group": "item"},
        {"name": "ranking_score", "kind": "numeric", "group": "score"},
    ]
    config = ListConfig(list_length=4)
    stage = RankingStageConfig(folds=2, embedding_dim=4, steps=60, batch_size=32, learning_rate=5e-3)

    def scored(
        self, log: RequestLog, splits: pd.DataFrame, fields: list[dict[str, Any]] | None = None
    ) -> tuple[Any, ...]:
        """Returns the scored candidates, how well they order clicks, and the model with its features."""
        joined = join_tables(log.requests, log.candidates, log.exposures, splits)
        tables, *model = score_candidates(
            joined,
            log.requests,
            log.candidates,
            log.users,
            log.items,
            fields or self.fields,
            self.config,
            self.stage,
        )
        return tables.candidates, measure_scores(tables, log.exposures, splits), *model

    def test_that_were_logged_are_kept(self, tables: Tables) -> None:
        log = RequestLog(tables.requests, tables.candidates, tables.exposures, tables.users, tables.items)
        scored, quality, model, space = self.scored(log, tables.splits)

        assert scored is tables.candidates
        assert (model, space) == (FROM_NOTHING, NO_FEATURES)
        assert quality["split"].tolist() == ["test", "train"]
        assert quality["exposed_items"].tolist() == [1, 5]
        # Clicked 0.5 and 0.1, not clicked 0.8, 0.6 and 0.9: no pair of six is in order.
        assert quality["click_auc"].tolist() == [pytest.approx(np.nan, nan_ok=True), 0.0]
        # Shown 0.8, 0.5, 0.6, 0.9 and 0.1, not shown 0.7: two of five pairs are in order.
        assert quality["exposure_auc"].tolist() == [0.0, pytest.approx(2 / 5)]

    def test_that_are_missing_are_predicted_and_ranked(
        self, unscored: RequestLog, splits: pd.DataFrame
    ) -> None:
        scored, quality, *_ = self.scored(unscored, splits)
        best_first = scored.sort_values(["request_id", "ranking_rank"])

        assert scored["ranking_score"].notna().all()
        assert scored.groupby("request_id")["ranking_rank"].apply(sorted).map(list).tolist() == [
            list(range(1, 9))
        ] * len(splits)
        assert (best_first.groupby("request_id")["ranking_score"].diff().dropna() <= 0).all()
        assert quality.set_index("split")["click_auc"]["train"] > 0.55

    def test_come_with_a_model_for_requests_to_come(self, unscored: RequestLog, splits: pd.DataFrame) -> None:
        _, _, model, space = self.scored(unscored, splits)

        assert model.config["model"] == "ranking"
        assert [field.name for field in space.fields] == ["segment", "category"]
        check_encoding(model, space.identity)

    def test_may_come_from_other_columns_of_the_candidates(
        self, unscored: RequestLog, splits: pd.DataFrame
    ) -> None:
        stock = np.resize([1.0, 2.0, 3.0], len(unscored.candidates))
        log = replace(unscored, candidates=unscored.candidates.assign(stock=stock))
        fields = [{"name": name, "kind": "numeric", "group": "score"} for name in ("stock", "ranking_score")]
        *_, space = self.scored(log, splits, fields)

        assert [field.name for field in space.fields] == ["stock"]

    def test_from_nothing_that_describes_a_candidate_are_refused(
        self, unscored: RequestLog, splits: pd.DataFrame
    ) -> None:
        score = [{"name": "ranking_score", "kind": "numeric", "group": "score"}]
        with pytest.raises(ValueError, match=r"no ranking score, and fields \[\] describe no candidate"):
            self.scored(unscored, splits, score)

    @pytest.mark.parametrize(("noise", "warned"), [(0.0, False), (1e9, True)])
    def test_that_hardly_order_the_clicks_are_warned_of(
        self,
        unscored: RequestLog,
        splits: pd.DataFrame,
        caplog: pytest.LogCaptureFixture,
        noise: float,
        warned: bool,
    ) -> None:
        keys = ["request_id", "candidate_index"]
        clicks = unscored.exposures.astype({"candidate_index": int}).set_index(keys)["click"]
        candidates = unscored.candidates
        score = pd.MultiIndex.from_frame(candidates[keys]).map(clicks.to_dict()).fillna(0).to_numpy(float)
        score = score + noise * np.random.default_rng(0).normal(size=len(score))
        log = replace(unscored, candidates=candidates.assign(ranking_score=score))
        _, quality, *_ = self.scored(log, splits)

        assert (quality["warning"] != "").all() == warned
        assert quality["warning"].str.contains("AUC").any() == warned
        assert ("a nearly random one" in caplog.text) == warned

    def test_do_not_depend_on_clicks_that_were_not_there_yet(
        self, unscored: RequestLog, splits: pd.DataFrame
    ) -> None:
        """The later half of the training requests tells of the earlier one, which has no past."""
        train = splits.loc[splits["split"] == "train", "request_id"]
        in_time = unscored.requests[unscored.requests["request_id"].isin(train)].sort_values(
            ["requested_at", "request_id"]
        )["request_id"]
        later, held_out = (
            in_time.tail(len(in_time) // 2),
            splits.loc[splits["split"] != "train", "request_id"],
        )
        before, *_ = self.scored(unscored, splits)

        def changed(flipped: pd.Series) -> pd.Series:
            clicks = unscored.exposures["click"]
            own = unscored.exposures["request_id"].isin(flipped)
            exposures = unscored.exposures.assign(click=clicks.where(~own, 1 - clicks))
            after, *_ = self.scored(replace(unscored, exposures=exposures), splits)
            return before["ranking_score"] != after["ranking_score"]

        assert not changed(held_out).any()
        moved = changed(later)
        assert not moved[before["request_id"].isin(later)].any()
        assert moved[before["request_id"].isin(held_out)].all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"list_length": 0}, "list_length is 0; allowed: 1 or more"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ListConfig(**settings)
