"""What registration and the gate share: a program is exported, written and read once for a generator."""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.export import ExportedProgram

from degre_pipeline.release import loaded_version
from degre_pipeline.reranker.fingerprints import fingerprint
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.serving.model import carried_code, packaging
from degre_pipeline.serving.model.carried_code import needed_files
from degre_pipeline.serving.model.program import export_program, load_program, save_program
from small_gate import Gate


@pytest.fixture(scope="session")
def programs_made_once() -> Iterator[None]:
    """Keeps what torch needs seconds for: the same generator is registered on many days."""
    exported: dict[tuple[str, int], ExportedProgram] = {}
    written: dict[ExportedProgram, bytes] = {}
    read: dict[str, ExportedProgram] = {}

    def export_once(generator: TrainedWeights, most_candidates: int) -> ExportedProgram:
        key = fingerprint(generator.weights), most_candidates
        if key not in exported:
            exported[key] = export_program(generator, most_candidates)
        return exported[key]

    def write_once(program: ExportedProgram, file: Path) -> None:
        if program not in written:
            save_program(program, file)
            written[program] = file.read_bytes()
        file.write_bytes(written[program])

    def load_once(file: Path) -> ExportedProgram:
        key = hashlib.sha256(file.read_bytes()).hexdigest()
        if key not in read:
            read[key] = load_program(file)
            patched.setattr(read[key], "module", functools.cache(read[key].module))
        return read[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packaging, "export_program", export_once)
        patched.setattr(packaging, "save_program", write_once)
        patched.setattr(loaded_version, "load_program", load_once)
        patched.setattr(carried_code, "needed_files", functools.cache(needed_files))
        yield


@pytest.fixture
def gate(shop, external_evaluator, shop_truth, gate_settings, registry) -> Gate:
    return Gate(shop, external_evaluator, shop_truth, gate_settings)
