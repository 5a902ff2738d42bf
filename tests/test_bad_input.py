"""What a run does with bad input: an error that names it, and everything written before stays as it was."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import project_runs
from degre_pipeline.datasets import TableDataset

Tables = dict[str, pd.DataFrame]
MODELS = "data/06_models/test"
SHARDS = "data/07_model_output/test/lookahead_sequences"
SHOP, LISTS = "ingestion.simulated_shop", "list_building.lists"
EVALUATOR, GENERATOR = "evaluator_training.model", "generator_distillation.training"


@pytest.fixture
def project(finished_run: Path, mlflow_database: Path, tmp_path: Path) -> Path:
    """A copy of the finished project that a test may change."""
    return project_runs.with_data_of(finished_run, tmp_path / "project", mlflow_database)


@pytest.fixture(scope="module")
def tables(finished_run: Path) -> Tables:
    """The request log of the finished run."""
    return project_runs.request_log(finished_run)


def check_refused(
    project: Path,
    pipeline: str | None,
    named: str,
    parameters: dict[str, Any] | None = None,
    *,
    env: str = "test",
    may_change: str = "nothing",
) -> None:
    """Checks that a run ends in an error of this text, not as finished, and that files stay as they were."""
    before = project_runs.written(project)
    with pytest.raises(Exception, match=named):
        project_runs.run(project, pipeline, env, parameters)
    after = project_runs.written(project)
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in changed if not re.search(may_change, name)} == set()
    assert {run.info.status for run in project_runs.runs(project)} <= {"FAILED"}


# ---------------------------------------------------------------- configuration

SETTINGS = {
    "an unknown key": (f"{SHOP}.colour", 1, "simulated_shop.*colour"),
    "an unknown section": (
        "mining.serach.beam_size",
        4,
        "'mining.serach.beam_size' .* no node; .*mining.search",
    ),
    "an unknown pipeline": ("minig", {}, "'minig' is read by no node; allowed: evaluation.diagnostics, "),
    "a text for a number": (f"{SHOP}.users", "many", "users is 'many'; allowed are whole numbers"),
    "a text for a model's number": (
        f"{EVALUATOR}.layers",
        "many",
        "layers is 'many'; allowed: a whole number",
    ),
    "a text for a truth value": (
        "generator_distillation.model.cross_attention",
        "no",
        "cross_attention is 'no'; allowed: true or",
    ),
    "no whole number": (f"{GENERATOR}.epochs", 1.5, r"epochs is 1\.5; allowed: a whole number"),
    "a beam of none": ("mining.search.beam_size", 0, "beam_size is 0; allowed: 1 to 10,000"),
    "an unknown choice": ("mining.search.roles", "both", "roles is 'both'; allowed: mining, all"),
    "a list longer than its candidates": (f"{SHOP}.list_length", 9, "candidates is 8; allowed are .* from 9"),
    "a list without slots": (f"{LISTS}.list_length", 0, "list_length is 0; allowed: 1 or more"),
    "a name that MLflow refuses": (
        "registration.model_name",
        "reranker.v2",
        r"registration\.model_name is 'reranker\.v2'; allowed: ",
    ),
    "a device that is not there": (
        "gate.settings.device",
        "tpu",
        r"gate\.settings\.device: device is 'tpu'; allow",
    ),
    "no comparison": ("evaluation.settings.comparison_lists", 0, "comparison_lists is 0; allowed: 1 or more"),
}


@pytest.mark.parametrize(("setting", "value", "named"), SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting_stops_the_run_before_any_node(
    project: Path, setting: str, value: object, named: str
) -> None:
    check_refused(project, None, named, {setting: value})
    assert project_runs.runs(project) == [], "a run was opened"


def test_a_step_answers_for_the_settings_of_those_after_it(project: Path) -> None:
    check_refused(project, "ingestion", "beam_size is 0; allowed: 1 to", {"mining.search.beam_size": 0})


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        ("ingestion", "    folder: data/01_raw/ml-1m", r"ingestion\.movielens.*folder"),
        ("gate", "    seed: 0", r"gate\.settings.*seed"),
    ],
)
def test_a_missing_setting_stops_the_run_before_any_node(
    project: Path, file: str, line: str, named: str
) -> None:
    path = project / "conf" / "base" / f"parameters_{file}.yml"
    content = path.read_text("utf-8")
    assert line in content
    path.write_text(content.replace(line, ""), "utf-8")
    check_refused(project, None, named)


def test_a_missing_section_is_named(project: Path) -> None:
    for layer in ("base", "test"):
        (project / "conf" / layer / "parameters_mining.yml").unlink()
    check_refused(project, None, r"params:mining\.search")


def test_a_run_date_that_is_none_is_named(project: Path) -> None:
    named = r"run_date is '31\.1\.2026'; allowed: a date such as 2026-01-31"
    check_refused(project, None, named, {"run_date": "31.1.2026"})


FIELDS = {
    "kind": (
        {"name": "category", "kind": "text", "group": "item"},
        "field 'category': kind is 'text'; allowed: categorical, numeric, tags",
    ),
    "column": (
        {"name": "colour", "kind": "categorical", "group": "item"},
        "field 'colour' of group 'item' is no column of table items; columns: item_id, ",
    ),
}


@pytest.mark.parametrize(("declared", "named"), FIELDS.values(), ids=FIELDS)
def test_a_wrong_field_is_named(project: Path, declared: dict[str, object], named: str) -> None:
    check_refused(project, "list_building", named, {"list_building.fields": [declared]})


# ---------------------------------------------------------------- sources

SOURCES = {
    "a source that does not exist": (
        {"source": "taobao"},
        r"source is 'taobao', allowed is one of \['simulated_shop', 'movielens', 'request_log_files'\]",
    ),
    "files that do not exist": (
        {"source": "request_log_files", "request_log_files.folder": "nowhere"},
        r"nowhere/requests\.parquet does not exist.*'requests\.parquet', 'candidates\.parquet'",
    ),
}


@pytest.mark.parametrize(("settings", "named"), SOURCES.values(), ids=SOURCES)
def test_a_missing_source_is_named(project: Path, settings: dict[str, object], named: str) -> None:
    check_refused(project, None, named, {f"ingestion.{name}": value for name, value in settings.items()})


def test_missing_movielens_says_where_to_get_it(project: Path) -> None:
    named = r"data/01_raw/ml-1m/ratings\.dat does not exist\..*grouplens.*make ml1m-data"
    check_refused(project, None, named, env="ml1m")


def test_an_unparseable_line_is_named(project: Path) -> None:
    folder = project / "data/01_raw/ml-1m"
    project_runs.write_movielens(folder)
    lines = (folder / "ratings.dat").read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace("::", ",")
    (folder / "ratings.dat").write_text("".join(lines))
    named = r"ratings\.dat, line 3: cannot read '1,\d+,\d,\d+', expected UserID::MovieID::Rating::Timestamp"
    check_refused(project, None, named, {"ingestion.movielens.folder": str(folder)}, env="ml1m")


# ---------------------------------------------------------------- own logs


def without_a_column(tables: Tables) -> Tables:
    return {**tables, "exposures": tables["exposures"].drop(columns="click")}


def with_a_click_that_is_none(tables: Tables) -> Tables:
    clicks = tables["exposures"]["click"].astype(object)
    clicks.iloc[4] = "yes"
    return {**tables, "exposures": tables["exposures"].assign(click=clicks)}


def with_a_candidate_twice(tables: Tables) -> Tables:
    items = tables["candidates"]["item_id"].copy()
    items.iloc[1] = items.iloc[0]
    return {**tables, "candidates": tables["candidates"].assign(item_id=items)}


def with_three_candidates_for_four_slots(tables: Tables) -> Tables:
    handed = tables["candidates"]
    is_first = handed["request_id"] == handed["request_id"].iloc[0]
    return {**tables, "candidates": handed[~is_first | (handed["candidate_index"] < 3)]}


LOGS: dict[str, tuple[Callable[[Tables], Tables], str]] = {
    "a column is missing": (
        without_a_column,
        r"exposures\.csv lacks the column\(s\) \['click'\].*required are \['request_id', 'slot', 'item_id', ",
    ),
    "a click is no number": (
        with_a_click_that_is_none,
        r"'exposures\.click'.*'yes' in row 4.*required is 0 or 1",
    ),
    "a candidate occurs twice": (
        with_a_candidate_twice,
        r"'candidates' repeats \{'request_id': \d+, 'item_id': '\d+'\}.*may occur once",
    ),
}


@pytest.mark.parametrize(("broken", "named"), LOGS.values(), ids=LOGS)
def test_a_wrong_log_is_named(
    project: Path, tables: Tables, broken: Callable[[Tables], Tables], named: str
) -> None:
    check_refused(project, None, named, project_runs.own_log(project, broken(tables)))


def test_fewer_candidates_than_the_list_shown_go_no_further(project: Path, tables: Tables) -> None:
    check_refused(
        project,
        None,
        r"every exposed item is a candidate of its request.*request_id: \d+, slot: \d",
        project_runs.own_log(project, with_three_candidates_for_four_slots(tables)),
    )


# ---------------------------------------------------------------- splits and lists


def test_two_days_leave_none_to_train_on(project: Path, tables: Tables) -> None:
    days = tables["requests"]["requested_at"].dt.normalize()
    last_two = tables["requests"][days >= sorted(days.unique())[-2]]
    TableDataset(str(project / "data/02_intermediate/test/requests.parquet")).save(last_two)
    named = r"covers 2 day\(s\), \['2026-01-30', '2026-01-31'\].*needs 3 or more"
    check_refused(project, "list_building", named)


def test_a_role_without_training_requests_is_named(project: Path) -> None:
    named = r"training split of role 'external' has 0 of 600 requests .*share 1e-09.*required is 1 or more"
    check_refused(project, "list_building", named, {f"{LISTS}.external_share": 1e-9})


def test_a_list_length_below_what_was_shown_names_the_request(project: Path) -> None:
    named = r"request \d+ shows 4 items; list_length allows 3"
    check_refused(project, "list_building", named, {f"{LISTS}.list_length": 3})


# ---------------------------------------------------------------- what lies in the catalog

ABSENT = {
    "request tensors": (
        "evaluator_training",
        "data/05_model_input/test/requests.safetensors",
        "list_building",
    ),
    "the mining evaluator": ("mining", f"{MODELS}/mining_evaluator.safetensors", "evaluator_training"),
    "the generator": ("evaluation", f"{MODELS}/generator.safetensors", "generator_distillation"),
    "the version": ("gate", "data/08_reporting/test/registration/registered_model.json", "registration"),
}


@pytest.mark.parametrize(("pipeline", "file", "maker"), ABSENT.values(), ids=ABSENT)
def test_data_that_no_pipeline_has_written_is_named(
    project: Path, pipeline: str, file: str, maker: str
) -> None:
    (project / file).unlink()
    named = (
        rf"{re.escape(file)}\) is not there; run {maker} first: `kedro run --pipelines={maker} --env=test`"
    )
    check_refused(project, pipeline, named)
    assert project_runs.runs(project) == [], "a run was opened"


def test_a_table_that_another_pipeline_reads_through_one_is_named_with_both(project: Path) -> None:
    (project / "data/02_intermediate/test/users.parquet").unlink()
    named = (
        r"feature_tables \(.*/users\.parquet\) is not there; run ingestion and list_building first: "
        "`kedro run --pipelines=ingestion,list_building "
    )
    check_refused(project, "gate", named)


def test_shards_that_no_pipeline_has_written_are_named(project: Path) -> None:
    shutil.rmtree(project / SHARDS)
    named = "lookahead_sequences: .* holds no shards; .*; run mining first: `kedro run --pipelines=mining "
    check_refused(project, "generator_distillation", named)


def test_all_that_is_missing_is_named_in_the_order_of_the_pipelines(project: Path) -> None:
    shutil.rmtree(project / "data")
    named = (
        r"click_truth \(.*\) is not there, and likewise .*registered_model.*; run ingestion and "
        r"list_building and evaluator_training and mining and generator_distillation and evaluation and "
        r"registration first"
    )
    check_refused(project, "gate", named)


HALF_WRITTEN = {
    "a model": ("evaluation", f"{MODELS}/generator.safetensors"),
    "a shard": ("generator_distillation", f"{SHARDS}/part-00001.safetensors"),
}


@pytest.mark.parametrize(("pipeline", "file"), HALF_WRITTEN.values(), ids=HALF_WRITTEN)
def test_a_half_written_file_is_named(project: Path, pipeline: str, file: str) -> None:
    (project / file).write_bytes((project / file).read_bytes()[:-100])
    named = rf"{file} \(\d+ bytes\) is no whole safetensors file.*run its pipeline again"
    check_refused(project, pipeline, named)


@pytest.mark.parametrize(
    ("pipeline", "put", "in_place_of", "named"),
    [
        ("mining", "generator", "mining_evaluator", "of model 'generator'; wanted: 'evaluator'"),
        ("registration", "mining_evaluator", "generator", "of model 'evaluator'; wanted: 'generator'"),
    ],
)
def test_weights_of_another_kind_of_model_are_refused(
    project: Path, pipeline: str, put: str, in_place_of: str, named: str
) -> None:
    shutil.copy(project / MODELS / f"{put}.safetensors", project / MODELS / f"{in_place_of}.safetensors")
    check_refused(project, pipeline, named)


LATER = {
    "more candidates than there are": (
        {"mining.search.top_k": 9},
        "top_k is 9; allowed: 0 to 8, the number of candidates",
    ),
    "embeddings that do not fit": (
        {
            "generator_distillation.distillation.warm_start": True,
            "generator_distillation.model.embedding_dim": 6,
        },
        "warm_start: .* differ in shape",
    ),
}


@pytest.mark.parametrize(("settings", "named"), LATER.values(), ids=LATER)
def test_what_a_later_step_would_refuse_is_refused_before_the_first_training(
    project: Path, settings: dict[str, object], named: str
) -> None:
    check_refused(project, "evaluator_training", named, settings)


def test_a_request_that_cannot_be_sent_stops_before_the_first_training(project: Path) -> None:
    path = project / "data/03_primary/test/scored_candidates.parquet"
    scored = pd.read_parquet(path)
    lists = pd.read_parquet(project / "data/03_primary/test/lists.parquet")
    tested = lists.loc[lists["split"] == "test", "request_id"].iloc[0]
    scored.loc[scored["request_id"] == tested, "ranking_score"] = float("inf")
    TableDataset(str(path)).save(scored)
    named = rf"request {tested}, candidate 0, field 'ranking_score': value is inf; allowed: a finite number"
    check_refused(project, "evaluator_training", named)


def test_a_log_of_other_data_never_meets_the_champion_of_this_one(
    project: Path, finished_run: Path, tables: Tables
) -> None:
    shutil.copy(finished_run / "mlflow.db", project / "mlflow.db")
    before = project_runs.written(project)
    with pytest.raises(ValueError, match="version 1 learned from other data: source 'simulated_shop'"):
        project_runs.run(project, parameters=project_runs.own_log(project, tables))
    assert {name: before.get(name) for name in before} == {
        name: content for name, content in project_runs.written(project).items() if name in before
    }
