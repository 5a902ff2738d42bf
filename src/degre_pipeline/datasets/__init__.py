"""How things are stored: the catalog's own dataset classes. Nothing here is pickled."""

from degre_pipeline.datasets.checkpoint_files import CheckpointFolder
from degre_pipeline.datasets.checkpoints_dataset import CheckpointsDataset
from degre_pipeline.datasets.feature_tables_dataset import FeatureTablesDataset
from degre_pipeline.datasets.model_dataset import ModelDataset, ModelsDataset
from degre_pipeline.datasets.requests_dataset import RequestsDataset
from degre_pipeline.datasets.rows_dataset import RowsDataset
from degre_pipeline.datasets.run_facts_dataset import RunFactsDataset
from degre_pipeline.datasets.shards import LoadedShards, Shards
from degre_pipeline.datasets.shards_dataset import ShardsDataset
from degre_pipeline.datasets.table_dataset import TableDataset
from degre_pipeline.datasets.tensors_dataset import TensorsDataset
from degre_pipeline.datasets.text_datasets import FeatureSpaceDataset, JSONDataset, TextDataset

__all__ = [
    "CheckpointFolder",
    "CheckpointsDataset",
    "FeatureSpaceDataset",
    "FeatureTablesDataset",
    "JSONDataset",
    "LoadedShards",
    "ModelDataset",
    "ModelsDataset",
    "RequestsDataset",
    "RowsDataset",
    "RunFactsDataset",
    "Shards",
    "ShardsDataset",
    "TableDataset",
    "TensorsDataset",
    "TextDataset",
]
