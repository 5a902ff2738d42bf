"""The project's settings as `kedro run` and `degre` read them."""

from pathlib import Path

import pytest

import project_runs
from degre_pipeline.configuration import ProjectConfigLoader


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    for name in ("base", "local", "shop", "production"):
        (folder / name).mkdir(parents=True)
    text = "registration:\n  model_name: ${own_name:degre_reranker}\n  data: simulated\n"
    (folder / "base" / "parameters_registration.yml").write_text(text, "utf-8")
    return folder


def name_in(conf: Path, env: str | None) -> str:
    return str(ProjectConfigLoader(str(conf), env)["parameters"]["registration"]["model_name"])


@pytest.mark.parametrize(
    ("env", "name"),
    [
        (None, "degre_reranker"),
        ("local", "degre_reranker"),
        ("base", "degre_reranker"),
        ("shop", "degre_reranker_shop"),
    ],
)
def test_a_model_is_named_after_its_folder_of_settings(conf: Path, env: str | None, name: str) -> None:
    assert name_in(conf, env) == name


def test_a_name_that_is_set_wins(conf: Path) -> None:
    (conf / "production" / "parameters.yml").write_text("registration: {model_name: shelf}\n", "utf-8")
    loader = ProjectConfigLoader(str(conf), "production")
    assert loader["parameters"]["registration"] == {"model_name": "shelf", "data": "simulated"}


def test_two_loaders_keep_their_own_names(conf: Path) -> None:
    one, other = (ProjectConfigLoader(str(conf), env) for env in ("shop", "production"))
    assert one["parameters"]["registration"]["model_name"] == "degre_reranker_shop"
    assert other["parameters"]["registration"]["model_name"] == "degre_reranker_production"


def test_no_two_folders_of_the_project_share_a_name() -> None:
    conf = project_runs.SOURCE / "conf"
    envs = [path.name for path in conf.iterdir() if path.is_dir() and path.name not in ("base", "local")]
    names = [name_in(conf, env) for env in [*envs, "base"]]
    assert len(set(names)) == len(names) > 1


def test_a_path_that_kedro_takes_for_a_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the project lies in '.*\[a\]/conf'; allowed: a path without '\['"):
        ProjectConfigLoader(str(tmp_path / "[a]" / "conf"))


@pytest.mark.parametrize("env", ["../elsewhere", "/etc", "shop/../../x"])
def test_settings_outside_of_conf_are_refused(conf: Path, env: str) -> None:
    with pytest.raises(ValueError, match=r"env is '.*'; allowed: a folder inside "):
        ProjectConfigLoader(str(conf), env)
