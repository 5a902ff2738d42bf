"""All that was trained for a version."""

from dataclasses import dataclass

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.models.stored_models import TrainedWeights


@dataclass(frozen=True)
class TrainedModels:
    """The models of a day that belong together.

    Attributes:
        generator: The model that serves.
        mining_evaluator: Found the lists that the generator learned from.
        external_evaluator: Judged them.
        feature_space: What all three read.
        ranking_model: Scores candidates where the log has no ranking score; empty where it has.
        ranking_feature_space: What the ranking model reads; without fields likewise.
    """

    generator: TrainedWeights
    mining_evaluator: TrainedWeights
    external_evaluator: TrainedWeights
    feature_space: FeatureSpace
    ranking_model: TrainedWeights
    ranking_feature_space: FeatureSpace

    def __post_init__(self) -> None:
        """Raises ValueError if generator or ranking model was trained with another feature space."""
        check_encoding(self.generator, self.feature_space.identity)
        if self.ranking_feature_space.fields:
            check_encoding(self.ranking_model, self.ranking_feature_space.identity)
