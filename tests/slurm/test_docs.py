"""The commands of docs/cluster.md."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sites import SECONDS

from workflow import Workflow

pytestmark = pytest.mark.slurm
PAGE = Path("docs/cluster.md")


def test_all_commands_of_the_page_work(cluster, tmp_path):
    blocks = re.findall(
        r"^( *)```bash\n(.*?)^ *```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    assert len(blocks) == 5
    site = Workflow(tmp_path / "clone")
    scratch = tmp_path / "scratch"
    own = Path(sys.executable).parent  # `source .venv/bin/activate`
    environment = {
        **cluster.environment,
        "PATH": f"{own}{os.pathsep}{cluster.environment['PATH']}",
        "PYTHONPATH": str(site.folder / "src"),  # replaces an installation
        "SCRATCH": str(scratch),
    }
    for _, block in blocks:
        done = subprocess.run(
            ["bash", "-eu", "-c", textwrap.dedent(block)],
            cwd=site.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
    model = scratch / "mathprobe/results/smoke/linalg/inverse/uniform_coefficients/n2"
    assert (model / "base/scores.csv").stat().st_size > 0
    assert list((scratch / "mathprobe/logs").rglob("train.log"))
    listed = cluster.call(
        "squeue", "--states=all", "--noheader", "--format=%T %P %k|%Z"
    )
    ours = {
        line.split("|")[0] for line in listed.splitlines() if str(site.folder) in line
    }
    name = "smoke_inverse_uniform_coefficients_2_base"
    assert ours == {
        f"COMPLETED cpu rule_linalg_train_wildcards_{name}",
        "COMPLETED cpu rule_evaluate_linalg_predict_linalg_score",
    }
