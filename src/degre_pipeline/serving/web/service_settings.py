"""The service's settings: command line, then environment, then defaults."""

import sys
import warnings
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from degre_pipeline.serving.model.runners import RunnerName
from degre_pipeline.serving.web.process import PREFIX

Parser = Literal["auto", "httptools", "h11"]
"""What parses HTTP."""


class ServiceSettings(BaseSettings):
    """Reranks requests over HTTP with the registered model that carries an alias.

    Every option can also be given in the environment: --deadline-ms as DEGRE_SERVICE_DEADLINE_MS.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        cli_prog_name="python -m degre_pipeline.serving.web",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        protected_namespaces=(),
    )

    tracking_uri: str | None = Field(
        None, description="Where MLflow is; without it MLFLOW_TRACKING_URI, else mlflow.db in this folder"
    )
    model_name: str = Field("degre_reranker", description="The registered model")
    alias: str = Field("champion", description="The alias that is followed")
    poll_seconds: float = Field(10.0, gt=0, description="How often the alias is looked up")
    look_seconds: float = Field(30.0, gt=0, description="How long a look-up may take")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    token: SecretStr | None = Field(
        None, min_length=8, description="Bearer token that callers must send; better in the environment"
    )
    deadline_ms: float = Field(
        50.0, gt=0, description="After this time a request is answered in the incoming order"
    )
    max_body_bytes: int = Field(1_000_000, gt=0, description="Largest body that is read")
    body_seconds: float = Field(5.0, gt=0, description="How long a client may take to send its body")
    max_requests: int = Field(64, gt=0, le=1024, description="Most requests in one call")
    max_candidates: int = Field(
        8192, gt=0, le=131_072, description="Most candidates in one call, of all its requests together"
    )
    strict: bool = Field(
        False, description="Whether keys that are no field of the model are refused; ignored otherwise"
    )
    list_length: int | None = Field(
        None,
        gt=0,
        description="Items of a list before a model is loaded; that of the model that worked last without it",
    )
    max_connections: int = Field(512, gt=0, description="Most connections at one time")
    max_header_bytes: int = Field(65_536, ge=1024, description="Largest request line with its headers")
    header_seconds: float = Field(5.0, gt=0, description="How long a client may take to send its headers")
    http: Parser = Field("auto", description="What parses HTTP; auto takes httptools where it is installed")
    runner: RunnerName | Literal["auto"] = Field(
        "auto", description="What runs the model; auto takes the fastest that works"
    )
    shadow_alias: str | None = Field(None, description="Alias of a model that ranks a sample unseen")
    shadow_share: float = Field(0.1, ge=0, le=1, description="Share of the requests that it ranks")
    prediction_log: Path | None = Field(None, description="Folder of the prediction log; none without it")
    log_seconds: float = Field(10.0, gt=0, description="How often the prediction log is written")
    cache_folder: Path | None = Field(
        None,
        description="Folder of this user's own for fetched models and what was prepared for them; "
        "~/.cache/degre_pipeline/serving/web without it",
    )


def read_settings(arguments: list[str]) -> ServiceSettings:
    """Returns the settings; ends the process with one line for each that is not allowed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CliApp.run(ServiceSettings, cli_args=arguments)
    except ValidationError as error:
        faults = {str(fault["loc"][0]): fault for fault in reversed(error.errors())}
        for name, fault in reversed(faults.items()):
            option, variable = f"--{name.replace('_', '-')}", f"{PREFIX}{name.upper()}"
            given = "" if "token" in name else f" is {fault['input']!r}"
            print(f"{option} ({variable}){given}: {fault['msg']}", file=sys.stderr)
        raise SystemExit(2) from None
