"""The wrappers of `batch` for Slurm and Kubernetes do what they say, but for what only these systems can show."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from batches import ALL, write_manifest, write_models
from cli_pairs import COMMAND, environment, names
from test_readme import parse

from recover.batch.overview import read
from recover.errors import Exit

EXAMPLES = Path(__file__).parents[2] / "examples"
SLURM = EXAMPLES / "slurm.sh"
KUBERNETES: dict[str, Any] = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text("utf-8"))
(CONTAINER,) = KUBERNETES["spec"]["template"]["spec"]["containers"]
SCRIPTS = {"slurm": SLURM.read_text("utf-8"), "kubernetes": CONTAINER["args"][0]}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good one, a broken one, a good one."""
    folder = write_models(tmp_path_factory.mktemp("models"))
    return write_manifest(folder, {name: ALL[name] for name in ("one", "cut", "thin")})


def submitted(wrapper: str, manifest: Path, out: Path, number: int) -> subprocess.CompletedProcess[str]:
    """Run one task of an array, the first being number 1, as the system would."""
    places = {"PATH": f"{COMMAND.parent}:{os.environ['PATH']}", "MANIFEST": str(manifest), "OUT": str(out)}
    if wrapper == "slurm":
        command, index = ["bash", str(SLURM)], {"SLURM_ARRAY_TASK_ID": str(number)}
    else:
        command, index = [*CONTAINER["command"], *CONTAINER["args"]], {"JOB_COMPLETION_INDEX": str(number - 1)}
    return subprocess.run(
        command, env=environment(**places, **index), capture_output=True, text=True, check=False, timeout=400
    )


@pytest.mark.parametrize("wrapper", SCRIPTS)
def test_it_is_shell_and_its_commands_are_the_tools_own(wrapper: str) -> None:
    done = subprocess.run(["bash", "-n"], input=SCRIPTS[wrapper], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    commands = re.findall(r"recover-align (batch [^)\n]*)", SCRIPTS[wrapper])
    assert len(commands) >= 2
    for command in commands:
        parse(shlex.split(command.split(" sbatch")[0]))


def test_the_kubernetes_job_is_indexed_and_retries_what_may_go_otherwise() -> None:
    spec = KUBERNETES["spec"]
    assert (KUBERNETES["apiVersion"], KUBERNETES["kind"]) == ("batch/v1", "Job")
    assert (spec["completionMode"], spec["template"]["spec"]["restartPolicy"]) == ("Indexed", "Never")
    (given_up,) = (rule["onExitCodes"]["values"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule)
    assert given_up == [Exit.FAILED, Exit.USAGE]
    assert {entry["name"] for entry in CONTAINER["env"]} >= {"MANIFEST", "OUT"}


@pytest.mark.slow
@pytest.mark.parametrize("wrapper", SCRIPTS)
def test_a_task_does_its_own_job_and_ends_with_its_exit_code(wrapper: str, manifest: Path, tmp_path: Path) -> None:
    codes = [submitted(wrapper, manifest, tmp_path, number).returncode for number in (2, 3)]
    assert codes == [Exit.UNDECIDED, Exit.OK], "what is broken is not the others' fault"
    assert names(tmp_path) == ["cut", "thin"]
    found = {name: {entry.name: entry.status for entry in read(tmp_path / name).jobs} for name in names(tmp_path)}
    assert found["cut"] == {"one": "pending", "cut": "failed", "thin": "pending"}
    assert found["thin"] == {"one": "pending", "cut": "pending", "thin": "done"}
    again = submitted(wrapper, manifest, tmp_path, 3)
    assert again.returncode == Exit.OK
    assert {entry.name: entry.status for entry in read(tmp_path / "thin").jobs}["thin"] == "skipped"


@pytest.mark.parametrize("wrapper", SCRIPTS)
def test_a_number_too_many_and_a_wrong_manifest(wrapper: str, manifest: Path, tmp_path: Path) -> None:
    done = submitted(wrapper, manifest, tmp_path / "out", 4)
    assert done.returncode == Exit.USAGE
    assert "has no job number" in done.stderr
    (tmp_path / "wrong.toml").write_text("aligned = 3")
    wrong = submitted(wrapper, tmp_path / "wrong.toml", tmp_path / "out", 1)
    assert wrong.returncode == Exit.USAGE
    assert "is no manifest of a batch" in wrong.stderr
    assert names(tmp_path / "out") == []
