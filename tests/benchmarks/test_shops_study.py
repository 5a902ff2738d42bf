"""Several shops: which shards there are, what is run again, what is read of a run, and what is published."""

import fcntl
import json
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import get_args

import pandas as pd
import pytest

from benchmarks import own_project, publish_shops, shops_study
from benchmarks.shops_study import Shard, Study, open_study, plan, run_shards
from degre_pipeline.configuration import ProjectConfigLoader
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.simulation.click_world import World
from degre_pipeline.simulation.shop import ShopConfig

PAGE = Shard(seed=2, shop_seed=201, world="page")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folders = {"reporting": "data/08_reporting/test", "intermediate": "data/02_intermediate/test"}
    return Study(
        tmp_path / "study", "test", "simulated", evaluator=EvaluatorConfig(head="by_data"), **folders
    )


@pytest.fixture
def ran(monkeypatch) -> list[Shard]:
    """Stands in for the main job and what is read of it; holds the shards that were run."""
    done: list[Shard] = []

    def main_job(study: Study, shard: Shard, project: Path, lock: int) -> bool:
        done.append(shard)
        (project / "run.log").write_text("here")
        return shard.shop_seed != 666

    monkeypatch.setattr(shops_study, "main_job", main_job)
    monkeypatch.setattr(shops_study, "figures", made_up)
    return done


def made_up(study: Study, shard: Shard, project: Path) -> tuple[list[dict], pd.DataFrame]:
    """Returns figures of two requests; of four clicks to gain, the generator gains one with seed 0."""
    gained = {
        "generator": 1.0 + shard.seed,
        "teacher": 2.0,
        "ranking_order": 0.0,
        "exposed": -1.0,
        "random": -2.0,
    }
    facts = {"data": "simulated", "world": shard.world, "shop_seed": shard.shop_seed, "seed": shard.seed}
    rows = []
    for subject, clicks in gained.items():
        named = {**facts, "head": "slot_clicks", "subject": subject, "judge": "truth"}
        rows.append({**named, "metric": "utility", "value": 1 + clicks})
        rows.append({**named, "metric": "regret_removed", "value": clicks / 4})
    values = [
        {"request_id": request, "user_id": request, "subject": subject, "value": 1 + clicks}
        for subject, clicks in {**gained, "optimum": 4.0}.items()
        for request in (7, 8)
    ]
    return rows, pd.DataFrame(values)


class TestPlan:
    def test_shards_are_all_combinations_a_whole_shop_before_the_next(self) -> None:
        shards = plan(["shop", "page"], [201, 202], [0, 1])

        assert [shard.name for shard in shards[:4]] == [
            "shop_201_0",
            "page_201_0",
            "shop_202_0",
            "page_202_0",
        ]
        assert [shard.seed for shard in shards] == [0] * 4 + [1] * 4
        assert len({shard.name for shard in shards}) == 8

    def test_the_worlds_are_those_of_the_simulator(self) -> None:
        assert tuple(shops_study.WORLDS) == get_args(World)

    @pytest.mark.parametrize("world", shops_study.WORLDS)
    def test_a_shard_changes_settings_that_there_are(self, world: str) -> None:
        parameters = ProjectConfigLoader(str(own_project.PROJECT / "conf"))["parameters"]
        changed = Shard(seed=2, shop_seed=201, world=world).parameters

        for name in changed:
            *sections, leaf = name.split(".")
            found = parameters
            for section in sections:
                found = found[section]
            assert leaf in found or leaf in vars(ShopConfig())
        assert changed["ingestion.simulated_shop.world"] == world
        assert changed["ingestion.simulated_shop.seed"] == 201
        assert (
            changed["evaluator_training.training.seed"]
            == changed["generator_distillation.training.seed"]
            == 2
        )
        assert changed["evaluator_training.external_seed"] == 1002
        assert changed.get("ingestion.simulated_shop.satiation") == {"page": 0.5}.get(world)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((["deterministic"], [1], [0]), "world is 'deterministic'; allowed: shop, page, leaving"),
            ((["shop", "shop"], [1], [0]), r"worlds are \['shop', 'shop'\]; allowed: one or more, each once"),
            ((["shop"], [1, 2, 1], [0]), r"shops are \[1, 2, 1\]; allowed: one or more, each once"),
            ((["shop"], [1], [3, 3]), r"seeds are \[3, 3\]; allowed: one or more, each once"),
            ((["shop"], [], [0]), r"shops are \[\]; allowed: one or more"),
            ((["shop"], [-1], [0]), "shop seed is -1; allowed: 0 or more"),
            ((["shop"], [1], [0, -2]), "seed is -2; allowed: 0 or more"),
        ],
    )
    def test_what_cannot_be_planned_is_named(self, arguments, message) -> None:
        with pytest.raises(ValueError, match=message):
            plan(*arguments)


class TestOpenStudy:
    def test_settings_have_a_folder_of_their_own(self, tmp_path: Path) -> None:
        default, tiny = open_study(root=tmp_path), open_study("test", tmp_path)

        assert default.folder.parent == tmp_path / "default"
        assert default.folder.name != tiny.folder.name
        assert tiny.reporting == "data/08_reporting/test"
        assert default.evaluator.head == "by_data"
        assert open_study(root=tmp_path) == default

    @pytest.mark.parametrize(
        ("env", "message"),
        [
            ("ml1m", "ingestion.source with env 'ml1m' is 'movielens'; allowed: simulated_shop"),
            ("nowhere", r"env is 'nowhere'; allowed: base, .*test, or none"),
        ],
    )
    def test_where_the_truth_is_unknown_there_is_no_study(self, env, message) -> None:
        with pytest.raises(ValueError, match=message):
            open_study(env)


class TestRunShards:
    def test_a_finished_shard_is_not_run_again(self, study: Study, ran: list[Shard]) -> None:
        shards = plan(["shop", "page"], [201], [0])

        assert run_shards(study, shards[:1]) == []
        assert run_shards(study, shards) == []
        assert ran == shards
        assert study.finished() == sorted(shards)
        assert study.rows(shards[0]).load()[0]["world"] == "shop"
        assert set(study.values(shards[0]).load()["request_id"]) == {7, 8}

    def test_a_shard_without_its_rows_is_run_again(self, study: Study, ran: list[Shard]) -> None:
        study.values(PAGE).save(pd.DataFrame({"request_id": [1]}))  # and there the process was killed

        run_shards(study, [PAGE])
        assert ran == [PAGE]
        assert len(study.values(PAGE).load()) == 12

    def test_one_that_fails_keeps_its_project_and_holds_up_no_other(
        self, study: Study, ran: list[Shard]
    ) -> None:
        bad = replace(PAGE, shop_seed=666)
        project = study.folder / "projects" / bad.name

        assert run_shards(study, [bad, PAGE]) == [bad]
        assert study.finished() == [PAGE]
        assert (project / "run.log").exists()
        assert not (study.folder / "projects" / PAGE.name).exists()
        assert run_shards(study, [bad, PAGE]) == [bad]
        assert ran == [bad, PAGE, bad]

    def test_projects_are_kept_where_that_is_wished(self, study: Study, ran: list[Shard]) -> None:
        run_shards(study, [PAGE], keep=True)

        assert (study.folder / "projects" / PAGE.name / "run.log").exists()

    def test_what_another_process_runs_is_left_to_it(self, study: Study, ran: list[Shard]) -> None:
        lock = study.folder / "projects" / f"{PAGE.name}.lock"
        lock.parent.mkdir(parents=True)
        with lock.open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert run_shards(study, [PAGE]) == []
            assert ran == []
        run_shards(study, [PAGE])
        assert ran == [PAGE]

    def test_a_shard_is_an_ordinary_run_in_a_copy_of_the_project(self, study: Study, monkeypatch) -> None:
        called = {}

        def kedro_run(project: Path, *words: str, **options) -> CompletedProcess[str]:
            called.update(project=project, words=words, options=options)
            return CompletedProcess([], 65)

        monkeypatch.setattr(shops_study, "kedro_run", kedro_run)
        project = study.folder / "projects" / PAGE.name
        project.mkdir(parents=True)

        assert not shops_study.main_job(study, PAGE, project, lock=3)
        env, pipelines, parameters = called["words"]
        assert (env, pipelines) == ("--env=test", f"--pipelines={','.join(shops_study.PIPELINES)}")
        assert "ingestion.simulated_shop.world=page,ingestion.simulated_shop.seed=201" in parameters
        assert called["options"]["pass_fds"] == (3,)
        assert (called["project"] / "conf/base/catalog.yml").exists()


def test_a_copy_of_the_project_is_refreshed_and_keeps_its_data(tmp_path: Path) -> None:
    catalog, data = tmp_path / "conf/base/catalog.yml", tmp_path / "data/06_models/checkpoint"
    for file in (catalog, data):
        file.parent.mkdir(parents=True)
        file.write_text("old")

    assert own_project.lay_out(tmp_path) == tmp_path
    assert catalog.read_bytes() == (own_project.PROJECT / "conf/base/catalog.yml").read_bytes()
    assert (tmp_path / "src/degre_pipeline/cli.py").exists()
    assert data.read_text() == "old"


def test_the_figures_of_a_run_are_those_of_its_evaluation(finished_run: Path, study: Study) -> None:
    rows, values = shops_study.figures(study, PAGE, finished_run)
    found = {(row["subject"], row["metric"]): row["value"] for row in rows}
    by_subject = values.pivot_table(index="request_id", columns="subject", values="value")

    subjects = {"generator", "teacher", "ranking_order", "exposed", "random"}
    assert set(found) == {
        (subject, metric) for subject in subjects for metric in ("utility", "regret_removed")
    } | {("optimum", "utility")}
    means = by_subject.mean()
    possible = means["optimum"] - means["ranking_order"]
    for subject in subjects:
        assert found[subject, "utility"] == pytest.approx(means[subject])
        gained = means[subject] - means["ranking_order"]
        assert found[subject, "regret_removed"] == pytest.approx(gained / possible)
    assert (by_subject.drop(columns="optimum").max(axis=1) <= by_subject["optimum"] + 1e-9).all()
    chosen = json.loads((finished_run / study.reporting / "training/head_choice.json").read_text())
    assert {row["head"] for row in rows} == {row["head"] for row in chosen if row["chosen"]}
    assert {(row["data"], row["world"], row["shop_seed"], row["seed"]) for row in rows} == {
        ("simulated", "page", 201, 2)
    }
    assert len(by_subject) == 40


class TestPublish:
    def test_rows_of_shards_and_over_shops_are_published(
        self, study: Study, ran: list[Shard], tmp_path
    ) -> None:
        published = tmp_path / "published"
        published.mkdir()
        (published / "truth.json").write_text('[{"data": "simulated", "value": 1}]')
        run_shards(study, [*plan(["page", "shop"], [201, 202], [0]), Shard(1, 201, "page")])

        assert len(publish_shops.publish(study, published, samples=400)) == 5
        rows = json.loads((published / "truth.json").read_text())
        assert rows[0] == {"data": "simulated", "value": 1}
        assert {row["data"] for row in rows[1:]} == {"simulated_shops"}
        assert len([row for row in rows[1:] if row["shop_seed"] != "all"]) == 5 * 10
        pooled = {
            (row["world"], row["subject"], row["metric"]): row
            for row in rows[1:]
            if row["shop_seed"] == "all"
        }
        # In one shop the generators of two seeds remove a quarter and a half, in the other one a quarter.
        removed = pooled["page", "generator", "regret_removed"]
        assert removed["value"] == pytest.approx((0.375 + 0.25) / 2)
        assert (removed["low"], removed["high"]) == (0.25, 0.5)
        assert pooled["shop", "generator", "over_teacher"]["value"] == pytest.approx(-1.0)

    def test_the_tables_tell_each_world_and_each_run(self, study: Study, ran: list[Shard], tmp_path) -> None:
        run_shards(study, [*plan(["page", "shop"], [201, 202], [0]), Shard(1, 201, "page")])
        publish_shops.publish(study, tmp_path, samples=400)
        text = (tmp_path / "shops_simulated.md").read_text("utf-8")

        assert "| page | 2 | 3 | generator | 31.2% [25.0%, 50.0%] | 2.250 [2.000, 3.000] |" in text
        assert "| shop | 2 | 2 | optimum | – | 5.000 [5.000, 5.000] |" in text
        assert "| shop | -1.0000 [-1.0000, -1.0000] |" in text
        assert "| page | 201 | 1 | slot_clicks | 50.0% | 50.0% | -25.0% |" in text
        assert text.index("| shop | 2") < text.index("| page | 2")

    def test_without_a_finished_shard_nothing_is_published(self, study: Study, tmp_path) -> None:
        with pytest.raises(ValueError, match="rows holds no finished shard; allowed: one or more"):
            publish_shops.publish(study, tmp_path)


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        (shops_study, ["--shops", "1", "--worlds", "moon"], "world is 'moon'; allowed: shop, page, leaving"),
        (shops_study, ["--shops", "1", "1"], "shops are [1, 1]; allowed: one or more, each once"),
        (publish_shops, ["--env", "test"], "--env is 'test' without --to; allowed: a folder of its own"),
    ],
)
def test_the_commands_name_what_is_wrong(module, arguments, message, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *arguments])

    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_plan_says_what_is_missing_and_runs_nothing(
    study: Study, ran: list[Shard], monkeypatch, capsys
) -> None:
    run_shards(study, [PAGE])
    monkeypatch.setattr(shops_study, "open_study", lambda env: study)
    monkeypatch.setattr(
        sys, "argv", ["command", "--shops", "201", "--seeds", "2", "--worlds", "page", "leaving", "--plan"]
    )
    capsys.readouterr()

    shops_study.main()
    assert capsys.readouterr().out.splitlines() == ["page_201_2: finished", "leaving_201_2: missing"]
    assert ran == [PAGE]
