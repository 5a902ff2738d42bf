"""The exported program decodes as the trained generator does, and a stored one can do nothing else."""

import copy
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from degre_pipeline.reranker.models.stored_models import restore_decoding, restore_generator
from degre_pipeline.reranker.training.compilation import has_compiler
from degre_pipeline.serving.model import program_file as program_file_module
from degre_pipeline.serving.model.prepare import prepare
from degre_pipeline.serving.model.program import (
    MOST_CANDIDATES,
    MOST_REQUESTS,
    export_program,
    load_program,
    save_program,
)
from degre_pipeline.serving.model.program_file import check_program_file
from degre_pipeline.serving.model.runners import EagerRunner, OnnxRunner, build_runner
from processes import ended_within

REQUESTS = 3000
LINEAR = "torch.ops.aten.linear.default"
NEEDS_COMPILER = pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="no C++ compiler")


def random_inputs(space, generator: np.random.Generator, requests: int, most: int):
    """Random indices of known and unknown values, for 1 to `most` candidates."""
    sizes = space.sizes()

    def draw(shape, per_candidate):
        fields = [size for size in sizes if size.per_candidate == per_candidate]
        columns = [generator.integers(0, size.indices, (*shape, size.columns)) for size in fields]
        return torch.from_numpy(np.concatenate(columns, -1).astype(np.int32))

    counts = torch.from_numpy(generator.integers(1, most + 1, requests))
    mask = torch.arange(most) < counts[:, None]
    return draw((requests,), False), draw((requests, most), True), mask


def assert_same_decode(found, expected, share=0.99):
    """Equal log-probabilities; equal lists up to the first tie."""
    (sequences, steps), (own, own_steps) = found, expected
    assert sequences.shape == own.shape
    differing = sequences != own
    before = differing.cumsum(1) - differing.int() == 0  # up to and with the first difference
    real = (own >= 0) & before
    chosen = own_steps.gather(-1, sequences.clamp(min=0)[..., None])[..., 0]
    best = own_steps.gather(-1, own.clamp(min=0)[..., None])[..., 0]
    assert torch.allclose(chosen[real], best[real], atol=1e-5)
    same = ~differing.any(1)
    assert same.float().mean() >= share
    assert torch.equal(steps[same].isinf(), own_steps[same].isinf())
    finite = own_steps[same].isfinite()
    assert torch.allclose(steps[same][finite], own_steps[same][finite], atol=1e-5)
    assert torch.equal(sequences < 0, own < 0)


@pytest.fixture(scope="session", params=["eager", "onnxruntime"])
def runner(request, program_file, prepared):
    if request.param == "eager":
        return EagerRunner(load_program(program_file))
    return OnnxRunner(prepared / "decode.onnx")


def test_decodes_thousands_of_random_requests_as_the_trained_generator(runner, trained, space):
    generator, done = np.random.default_rng(0), 0
    trained_generator = restore_generator(trained)
    while done < REQUESTS:
        requests, most = int(generator.integers(1, MOST_REQUESTS + 1)), int(generator.integers(1, 20))
        inputs = random_inputs(space, generator, requests, most)
        assert_same_decode(runner.decode(*inputs), trained_generator.greedy_decode(*inputs))
        done += requests


@pytest.mark.parametrize(("requests", "most"), [(1, 1), (1, MOST_CANDIDATES), (MOST_REQUESTS, 1), (2, 2)])
def test_takes_the_smallest_and_the_largest(runner, trained, space, requests, most):
    inputs = random_inputs(space, np.random.default_rng(1), requests, most)
    assert_same_decode(runner.decode(*inputs), restore_generator(trained).greedy_decode(*inputs))


def log_probability(sequences, steps):
    """Returns the log-probability of each list, [b]."""
    chosen = steps.gather(-1, sequences.clamp(min=0)[..., None])[..., 0]
    return chosen.masked_fill(sequences < 0, 0.0).sum(1)


@pytest.mark.parametrize(
    "name",
    [
        "eager",
        pytest.param("onnxruntime", marks=pytest.mark.slow),
        pytest.param("aotinductor", marks=[pytest.mark.slow, NEEDS_COMPILER]),
    ],
)
def test_a_program_with_a_beam_decodes_as_the_generator_with_that_beam(trained, space, tmp_path, name):
    settings = {**trained.config["settings"], "beam_size": 4}
    with_beam = replace(trained, config={**trained.config, "settings": settings})
    program = tmp_path / "program.pt2"
    save_program(export_program(with_beam), program)
    prepare(name, program, tmp_path, 12)
    runner = build_runner(name, program, tmp_path, 12)
    generator, differing = np.random.default_rng(2), 0
    for requests, most in ((1, 1), (1, 12), (2, 12), (1, MOST_CANDIDATES), (MOST_REQUESTS, 12), (7, 3)):
        inputs = random_inputs(space, generator, requests, most)
        expected = restore_decoding(with_beam).decode(*inputs)
        differing += int((expected[0] != restore_generator(trained).greedy_decode(*inputs)[0]).any(1).sum())
        found = runner.decode(*inputs)
        assert torch.allclose(log_probability(*found), log_probability(*expected), atol=1e-4), "up to ties"
        assert (found[0] == expected[0]).all(1).float().mean() >= 0.95
        assert torch.equal(found[0] < 0, expected[0] < 0)
    assert differing, "the beam finds other lists than the greedy decode"


def altered(program_file: Path, folder: Path, entry: str, change) -> Path:
    """Returns a copy of a program in which one entry is changed, or added."""
    target = folder / "program.pt2"
    with zipfile.ZipFile(program_file) as old, zipfile.ZipFile(target, "w") as new:
        names = [info.filename for info in old.infolist()]
        full = f"{names[0].partition('/')[0]}/{entry}"
        for name in names:
            new.writestr(name, change(old.read(name)) if name == full else old.read(name))
        if full not in names:
            new.writestr(full, change(b""))
    return target


class Bomb:
    def __reduce__(self):
        return (print, ("executed",))


def replaced(old: str, new: str):
    def change(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return change


def with_guard(content: bytes) -> bytes:
    return json.dumps(json.loads(content) | {"guards_code": ["__import__('os').system('true')"]}).encode()


@pytest.mark.parametrize(
    ("entry", "change", "message"),
    [
        (
            "data/sample_inputs/model.pt",
            lambda _: pickle.dumps(Bomb()),
            "holds 'data/sample_inputs/model.pt'",
        ),
        ("data/weights/model.pt", lambda _: pickle.dumps(Bomb()), "holds 'data/weights/model.pt'"),
        (
            "data/constants/custom_obj_0",
            lambda _: pickle.dumps(Bomb()),
            "holds 'data/constants/custom_obj_0'",
        ),
        ("extra/code.py", lambda _: b"print('executed')", r"holds 'extra/code\.py'"),
        (
            "data/weights/model_weights_config.json",
            replaced('"use_pickle": false', '"use_pickle": true'),
            "are pickled",
        ),
        (
            "models/model.json",
            replaced("torch.ops.aten.linear.default", "torch.hub.load"),
            "target 'torch.hub",
        ),
        (
            "models/model.json",
            replaced("torch.ops.aten.linear.default", "_operator.call"),
            "target '_operator",
        ),
        ("models/model.json", with_guard, "guards in Python"),
        (
            "models/model.json",
            replaced("Symbol('s", "__import__('os').system('true') or Symbol('s"),
            'expr_str "__import__',
        ),
        ("models/model.json", replaced("builtins.tuple", "collections.defaultdict"), "in_spec|out_spec"),
        ("models/model.json", lambda _: b"[" * 5000, "is no stored program"),
    ],
)
def test_a_program_that_could_run_code_is_refused(program_file, tmp_path, capsys, *, entry, change, message):
    file = altered(program_file, tmp_path, entry, change)
    with pytest.raises(ValueError, match=message):
        load_program(file)
    assert "executed" not in capsys.readouterr().out


def repacked(program_file: Path, folder: Path, add=None, **how) -> Path:
    """Returns a copy of a program whose entries are written otherwise, with one more."""
    target = folder / "program.pt2"
    with zipfile.ZipFile(program_file) as old, zipfile.ZipFile(target, "w", **how) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        if add is not None:
            new.writestr(f"{old.namelist()[0].partition('/')[0]}/{add[0]}", add[1])
    return target


def test_a_program_that_would_unpack_to_more_than_it_is_is_refused(program_file, tmp_path):
    zeros = ("data/weights/weight_99", bytes(50_000_000))
    file = repacked(program_file, tmp_path, zeros, compression=zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match=r"entry '.*' is compressed; allowed: stored as it is"):
        check_program_file(file)


def test_entries_that_lie_over_each_other_are_refused(program_file, tmp_path):
    file = repacked(program_file, tmp_path, ("data/weights/weight_99", bytes(500_000)))
    with zipfile.ZipFile(file, "a") as archive:
        largest = archive.infolist()[-1]
        for number in range(100, 103):
            again = copy.copy(largest)
            again.filename = largest.filename.replace("99", str(number))
            archive.filelist.append(again)
        archive._didModify = True
    with pytest.raises(ValueError, match=r"the program's entries have \d+ bytes; allowed: those of the file"):
        check_program_file(file)


def test_a_graph_that_is_too_large_is_refused_before_it_is_read(program_file, tmp_path, monkeypatch):
    monkeypatch.setattr(program_file_module, "MOST_JSON_BYTES", 1000)
    with pytest.raises(ValueError, match=r"\.json' has \d+ bytes; allowed: 1000"):
        check_program_file(program_file)


def test_a_pickle_is_no_program(tmp_path):
    file = tmp_path / "program.pt2"
    torch.save({"weights": Bomb()}, file)
    with pytest.raises(ValueError, match=r"archive holds 'data\.pkl'"):
        check_program_file(file)
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is no stored program"):
        check_program_file(file)


@given(cut=st.integers(0, 2000))
def test_half_a_file_is_no_program(program_file, tmp_path_factory, cut):
    file = tmp_path_factory.mktemp("cut") / "program.pt2"
    content = program_file.read_bytes()
    file.write_bytes(content[: len(content) - 1 - cut])
    with pytest.raises(ValueError, match="no stored program"):
        check_program_file(file)


def test_the_stored_program_says_nothing_of_where_it_was_made(program_file):
    with zipfile.ZipFile(io.BytesIO(program_file.read_bytes())) as archive:
        texts = [archive.read(name) for name in archive.namelist() if name.endswith(".json")]
    assert not any(b".py" in text or b"/" in text for text in texts)


@NEEDS_COMPILER
@pytest.mark.slow
def test_a_compiled_library_decodes_alike_and_leaves_the_rest_to_another(
    program_file, prepared, trained, space
):
    prepare("aotinductor", program_file, prepared, 6)
    compiled = build_runner("aotinductor", program_file, prepared, 6)
    generator, trained_generator = np.random.default_rng(2), restore_generator(trained)
    for _ in range(1000):
        inputs = random_inputs(space, generator, int(generator.integers(1, 4)), int(generator.integers(1, 9)))
        assert_same_decode(compiled.decode(*inputs), trained_generator.greedy_decode(*inputs), share=0.0)


def test_preparing_what_is_no_program_says_why(tmp_path):
    (tmp_path / "program.pt2").write_bytes(b"no program")
    with pytest.raises(RuntimeError, match=r"preparing onnxruntime failed with 1: .*is no stored program"):
        prepare("onnxruntime", tmp_path / "program.pt2", tmp_path / "prepared", 4)
    assert list((tmp_path / "prepared").iterdir()) == []


def test_preparing_ends_with_the_process_that_started_it(program_file, tmp_path):
    start = (
        "import os, subprocess, sys\n"
        "words = [sys.executable, '-m', 'degre_pipeline.serving.model.prepare', 'onnxruntime']\n"
        "words += [*sys.argv[1:], '--candidates', '4', '--starter', str(os.getpid())]\n"
        "child = subprocess.Popen(words)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    places = [str(program_file), str(tmp_path / "decode.onnx")]
    command = [sys.executable, "-c", start, *places]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_on_the_path()) as starter:
        child = int(starter.stdout.readline())
        starter.kill()
    assert ended_within(child, 60)
    assert not (tmp_path / "decode.onnx").exists()


def _on_the_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
