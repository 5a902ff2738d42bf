"""How things are stored: the catalog's own dataset classes. Nothing here is pickled."""

from .checkpoints import CheckpointFolder
from .checkpoints_dataset import CheckpointsDataset
from .model_dataset import ModelDataset
from .rows_dataset import RowsDataset
from .shards import LoadedShards, Shards
from .shards_dataset import ShardsDataset
from .table_dataset import TableDataset
from .tensors_dataset import TensorsDataset
from .text_datasets import JSONDataset, TextDataset

__all__ = [
    "CheckpointFolder",
    "CheckpointsDataset",
    "JSONDataset",
    "LoadedShards",
    "ModelDataset",
    "RowsDataset",
    "Shards",
    "ShardsDataset",
    "TableDataset",
    "TensorsDataset",
    "TextDataset",
]
