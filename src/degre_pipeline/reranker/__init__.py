"""The science of reranking: models, search, distillation and metrics, on torch and numpy alone."""
