"""How the project's settings are read: by `kedro run` and by `degre` alike."""

import warnings
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

BASE, DEFAULT = "base", "local"
"""The embedded default, and the folder of `conf/` that holds where none is named."""
_GLOB = "["

# Kedro and kedro-mlflow still call it by its old name, and every command would tell.
warnings.filterwarnings("ignore", message="register_new_resolver", category=UserWarning)


class ProjectConfigLoader(OmegaConfigLoader):
    """Kedro's loader with this project's conventions.

    Settings may say `${own_name:degre_reranker}`: that name for the embedded default, and the name with the
    environment's at its end for every other folder of `conf/`, so that no two sources meet in one registry.
    """

    def __init__(
        self,
        conf_source: str,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Point at `conf/`.

        Args:
            conf_source: The folder.
            env: Folder inside it whose settings go before those of `base`.
            runtime_params: What `--params` says.
            settings: Of Kedro's own loader.
        Raises: ValueError: If Kedro would find no file in a folder of this name, or if `env` leads out of it.
        """
        if _GLOB in str(conf_source):
            raise ValueError(
                f"the project lies in {conf_source!r}; allowed: a path without {_GLOB!r}, "
                "because Kedro takes it for a pattern and finds no settings there"
            )
        if env and not (Path(conf_source) / env).resolve().is_relative_to(Path(conf_source).resolve()):
            raise ValueError(f"env is {env!r}; allowed: a folder inside {conf_source}")
        conventions: dict[str, Any] = {
            "base_env": BASE,
            "default_run_env": DEFAULT,
            # Without it, an overlay that sets one leaf of a mapping drops the leaf's siblings.
            "merge_strategy": {"parameters": "soft"},
            "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**"]},
        }
        super().__init__(conf_source, env, runtime_params, **{**conventions, **settings})

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the settings of a kind."""
        # Resolvers belong to the process, and another loader may have come since the last call.
        OmegaConf.register_new_resolver("own_name", self._own_name, replace=True)
        content: dict[str, Any] = super().__getitem__(key)
        return content

    def _own_name(self, name: str) -> str:
        env = self.env or self.default_run_env
        return name if env in (BASE, DEFAULT) else f"{name}_{env}"
