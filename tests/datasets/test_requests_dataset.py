"""Requests and feature spaces come back from the catalog as they were, with what encoded them."""

import json

import pytest
import torch
from kedro.io import DatasetError

from degre_pipeline.datasets import FeatureSpaceDataset, RequestsDataset, TensorsDataset
from degre_pipeline.reranker.features import NO_FEATURES


def test_requests_come_back_with_the_identity_of_their_feature_space(shop_data, tmp_path):
    encoded, space = shop_data
    dataset = RequestsDataset(str(tmp_path / "requests.safetensors"))
    dataset.save(encoded)
    loaded = dataset.load()
    assert loaded.encoding == encoded.encoding == space.identity
    assert all(
        torch.equal(tensor, encoded.to_tensors()[name]) for name, tensor in loaded.to_tensors().items()
    )


def test_what_is_chosen_of_requests_keeps_their_encoding(shop_data):
    encoded, _ = shop_data
    assert encoded.of("test").to("cpu").select(slice(0, 2)).encoding == encoded.encoding


def test_other_tensors_are_no_requests(tmp_path):
    file = str(tmp_path / "other.safetensors")
    TensorsDataset(file).save({"clicks": torch.zeros(2)})
    with pytest.raises(DatasetError, match="request tensors lack"):
        RequestsDataset(file).load()


def test_a_feature_space_comes_back_and_keeps_its_identity(shop_data, tmp_path):
    space = shop_data[1]
    dataset = FeatureSpaceDataset(str(tmp_path / "space.json"))
    dataset.save(space)
    assert dataset.load() == space
    assert dataset.load().identity == space.identity


def test_no_feature_space_is_an_empty_file(tmp_path):
    dataset = FeatureSpaceDataset(str(tmp_path / "space.json"))
    dataset.save(NO_FEATURES)
    assert json.loads((tmp_path / "space.json").read_text()) == {}
    assert dataset.load() == NO_FEATURES
