"""How things are stored: the catalog's own dataset classes. Nothing here is pickled."""

from .model_dataset import ModelDataset
from .shards import LoadedShards, Shards
from .shards_dataset import ShardsDataset
from .tensors_dataset import TensorsDataset

__all__ = ["LoadedShards", "ModelDataset", "Shards", "ShardsDataset", "TensorsDataset"]
