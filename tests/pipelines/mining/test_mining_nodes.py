from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from degre_pipeline.datasets import ShardsDataset
from degre_pipeline.datasets.shards import LoadedShards, Shards
from degre_pipeline.pipelines.mining.nodes import mine_lookahead_sequences
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_evaluator, store
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.mining_config import MiningConfig

SMALL = EvaluatorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=16)
CONFIG = MiningConfig(beam_size=3, batch_size=4, shard_size=5, device="cpu")
KEYS = ("row", "sequences", "values", "step_values")


@pytest.fixture(scope="module")
def requests(make_requests) -> Requests:
    """Twenty requests: rows 0 to 13 train (odd rows: external), 14 to 17 validation, 18 and 19 test."""
    drawn = make_requests(20, n=6, slots=3, real=[6, 2] * 10)
    split = torch.tensor([0] * 14 + [1] * 4 + [2] * 2, dtype=torch.uint8)
    return replace(drawn, split=split, role=(torch.arange(20) % 2).to(torch.uint8))


@pytest.fixture(scope="module")
def evaluator(sizes: tuple[FieldSize, ...]) -> TrainedWeights:
    torch.manual_seed(0)
    return store(build_evaluator(sizes, 3, SMALL), sizes, 3, SMALL)


def mined(requests: Requests, evaluator: TrainedWeights, config: MiningConfig = CONFIG) -> Shards:
    return mine_lookahead_sequences(requests, evaluator, config)


def rows(shards: Shards) -> list[int]:
    return torch.cat([shards.make(name)["row"] for name in shards.names]).tolist()


def counting(shards: Shards, made: list[str], stop_at: str = "") -> Shards:
    """The same shards; remembers what was made and can be interrupted."""

    def make(name: str) -> dict[str, Tensor]:
        if name == stop_at:
            raise KeyboardInterrupt
        made.append(name)
        return shards.make(name)

    return replace(shards, make=make)


def contents(loaded: LoadedShards) -> Mapping[str, Tensor]:
    return {key: loaded.concat(key) for key in KEYS}


def test_training_and_validation_requests_of_the_mining_role_are_mined(requests, evaluator) -> None:
    assert rows(mined(requests, evaluator)) == [0, 2, 4, 6, 8, 10, 12, 14, 16]


def test_all_roles_add_training_requests_alone(requests, evaluator) -> None:
    assert rows(mined(requests, evaluator, replace(CONFIG, roles="all"))) == [*range(14), 14, 16]


def test_most_requests_draws_training_requests_by_seed(requests, evaluator) -> None:
    drawn = [
        rows(mined(requests, evaluator, replace(CONFIG, most_requests=3, seed=seed))) for seed in (0, 0, 1, 2)
    ]

    for drawing in drawn:
        assert drawing[:3] == sorted(set(drawing[:3]) & {0, 2, 4, 6, 8, 10, 12})
        assert drawing[3:] in ([14], [16])  # an eighth as many validation requests, but one at least
    assert drawn[0] == drawn[1]
    assert len({tuple(drawing) for drawing in drawn}) > 1
    assert rows(mined(requests, evaluator, replace(CONFIG, most_requests=99))) == rows(
        mined(requests, evaluator)
    )


def test_a_shard_holds_what_the_search_finds(requests, evaluator) -> None:
    shard = mined(requests, evaluator).make("part-00000")
    found = beam_search(restore_evaluator(evaluator), requests.select(shard["row"]), beam_size=3)

    assert shard["sequences"].dtype == torch.int8
    assert torch.equal(shard["sequences"].long(), found.sequences)
    assert torch.allclose(shard["values"], found.values)
    assert torch.allclose(shard["step_values"].exp(), found.step_values.exp())


def test_the_best_sequences_of_a_beam_are_kept(requests, evaluator) -> None:
    whole = mined(requests, evaluator).make("part-00000")
    best = mined(requests, evaluator, replace(CONFIG, kept=2)).make("part-00000")

    assert best["sequences"].shape == (5, 2, 3)
    for key in KEYS[1:]:
        assert torch.equal(best[key], whole[key][:, :2])
    more = mined(requests, evaluator, replace(CONFIG, kept=7)).make("part-00000")
    assert torch.equal(more["sequences"], whole["sequences"])


def test_a_beam_wider_than_what_exists_is_filled_up(requests, evaluator) -> None:
    few = replace(requests, mask=requests.mask & (torch.arange(6) < 2))
    shard = mined(few, evaluator, replace(CONFIG, beam_size=130)).make("part-00000")

    assert shard["sequences"].shape == (5, 130, 3)
    assert shard["values"].isfinite().sum(1).tolist() == [2] * 5
    assert (shard["sequences"][:, 2:] == -1).all()
    assert not shard["step_values"][:, 2:].isfinite().any()


def test_clicks_are_not_read(requests, evaluator) -> None:
    clicked = replace(requests, clicks=1 - requests.clicks)
    one, other = (mined(some, evaluator).make("part-00000") for some in (requests, clicked))

    assert all(torch.equal(one[key], other[key]) for key in KEYS)


class TestFingerprint:
    def test_is_the_same_for_the_same_inputs(self, requests, evaluator) -> None:
        assert mined(requests, evaluator).fingerprint == mined(requests, evaluator).fingerprint

    @pytest.mark.parametrize("change", [{"beam_size": 2}, {"top_k": 2}, {"seed": 1}, {"roles": "all"}])
    def test_changes_with_every_setting(self, requests, evaluator, change) -> None:
        changed = mined(requests, evaluator, replace(CONFIG, **change))

        assert changed.fingerprint != mined(requests, evaluator).fingerprint

    def test_changes_with_one_weight(self, requests, evaluator) -> None:
        name, tensor = next(iter(evaluator.weights.items()))
        nudged = tensor.clone()
        nudged.view(-1)[0] += 1e-3
        other = replace(evaluator, weights={**evaluator.weights, name: nudged})

        assert mined(requests, other).fingerprint != mined(requests, evaluator).fingerprint

    def test_changes_with_one_candidate(self, requests, evaluator) -> None:
        candidates = requests.candidates.clone()
        candidates[0, 0, 0] += 1

        other = mined(replace(requests, candidates=candidates), evaluator)
        assert other.fingerprint != mined(requests, evaluator).fingerprint

    def test_exists_without_fields_of_the_request(self, requests, sizes) -> None:
        items = store(build_evaluator(sizes[2:], 3, SMALL), sizes[2:], 3, SMALL)

        assert mined(replace(requests, static=requests.static[:, :0]), items).fingerprint


class TestResuming:
    def test_after_an_interruption_gives_what_an_uninterrupted_run_gives(
        self, requests, evaluator, tmp_path: Path
    ) -> None:
        whole, broken = (ShardsDataset(str(tmp_path / name)) for name in ("whole", "broken"))
        whole.save(mined(requests, evaluator))
        made: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            broken.save(counting(mined(requests, evaluator), made, stop_at="part-00001"))
        assert not broken.exists()
        broken.save(counting(mined(requests, evaluator), made))
        expected, resumed = contents(whole.load()), contents(broken.load())

        assert made == ["part-00000", "part-00001"]
        assert all(torch.equal(expected[key], resumed[key]) for key in KEYS)

    def test_a_rerun_makes_nothing(self, requests, evaluator, tmp_path: Path) -> None:
        dataset, made = ShardsDataset(str(tmp_path)), []
        dataset.save(counting(mined(requests, evaluator), made))
        dataset.save(counting(mined(requests, evaluator), made))

        assert made == ["part-00000", "part-00001"]

    def test_a_rerun_with_another_setting_makes_everything_anew(
        self, requests, evaluator, tmp_path: Path
    ) -> None:
        dataset, made = ShardsDataset(str(tmp_path)), []
        dataset.save(counting(mined(requests, evaluator), made))
        dataset.save(counting(mined(requests, evaluator, replace(CONFIG, beam_size=1)), made))

        assert made == ["part-00000", "part-00001"] * 2
        assert dataset.load().concat("sequences").shape == (9, 1, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_k": 7}, "top_k is 7; allowed: 0 to 6, the number of candidates"),
        ({"beam_size": 10_001}, "beam_size is 10001; allowed: 1 to 10,000"),
        ({"kept": -1}, "kept is -1; allowed: 0 or more"),
        ({"device": "abacus"}, "device is 'abacus'"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_mined(requests, evaluator, change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mined(requests, evaluator, replace(CONFIG, **change))


@pytest.mark.parametrize(("split", "counts"), [(0, "10 training and 0"), (1, "0 training and 10")])
def test_a_split_without_requests_is_named(requests, evaluator, split: int, counts: str) -> None:
    alone = replace(requests, split=torch.full((20,), split, dtype=torch.uint8))

    with pytest.raises(ValueError, match=f"{counts} validation requests to mine; allowed: 1 or more"):
        mined(alone, evaluator)
