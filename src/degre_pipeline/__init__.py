"""Generative reranking (DeGRe): from raw logs to a registered, servable model, as Kedro pipelines."""

import os

__version__ = "0.1.0"

# Nobody's runs are reported to anyone. Kedro obeys the first; MLflow needs the word "true", not "1".
os.environ.update(DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true", GX_ANALYTICS_ENABLED="false")
