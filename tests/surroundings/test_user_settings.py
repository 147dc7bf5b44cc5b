"""Settings and caches of the user change neither figures nor pages."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import rc_context, rcParams, rcParamsDefault

from mathprobe import surroundings
from mathprobe.paper import figures

PROJECT = Path(__file__).parents[2]
UNUSABLE = os.devnull  # as HOME: no folder can be created in it
RC = {"savefig.bbox": "tight", "text.usetex": True, "axes.facecolor": "red"}
NOTEBOOK = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
number = 1

# %%
import sys
from pathlib import Path

from mathprobe.paper import figures

figures.save(figures.empty_figure(), Path("figure"))
print(sys.prefix, number)
"""


def drawing():
    """Return the bytes of a figure."""
    content = io.BytesIO()
    figure = figures.empty_figure()
    with rc_context(figures.STYLE):
        figure.savefig(content, format="svg", metadata=figures.UNDATED["svg"])
    return content.getvalue()


def test_every_setting_of_matplotlib_is_its_default_or_ours(monkeypatch):
    assert figures.STYLE.keys() == rcParamsDefault.keys() - {"backend"}
    plain = drawing()
    with rc_context(RC):
        assert drawing() == plain
        assert rcParams["text.usetex"]  # afterwards, those of the user


def hostile(folder):
    """Return variables of a user with a kernel, templates and a matplotlibrc."""
    kernel = {"argv": ["false"], "display_name": "mine", "language": "python"}
    rc = "".join(f"{key}: {value}\n" for key, value in RC.items())
    contents = {
        "jupyter/kernels/python3/kernel.json": json.dumps(kernel),
        "jupyter/nbconvert/templates/basic/index.html.j2": "mine",
        "jupyter/nbconvert/templates/basic/conf.json": "{}",
        "matplotlibrc": rc + "no.such.key: 1\n",
        "startup.py": "number = 'mine'\nprint('mine')\n",
        "ipython/profile_default/startup/mine.py": "print('mine')\n",
    }
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return {
        "HOME": UNUSABLE,
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "MATPLOTLIBRC": str(folder / "matplotlibrc"),
        "MPLBACKEND": "svg",
        "MPLCONFIGDIR": UNUSABLE,
        "PYTHONSTARTUP": str(folder / "startup.py"),
        "XDG_CACHE_HOME": UNUSABLE,
        "XDG_CONFIG_HOME": UNUSABLE,
    }


def execute(folder, extra):
    """Execute a notebook in a folder; return its page, its JSON and its figure."""
    folder.mkdir()
    (folder / "page.py").write_text(NOTEBOOK, encoding="utf-8")
    template = PROJECT / "paper/templates/notebook.html.j2"
    command = [sys.executable, "-m", "mathprobe", "notebook", "page.py", "page.ipynb"]
    command += ["page.html", "--template", str(template), "--failed-notebook", "failed"]
    done = subprocess.run(
        [*command, "--parameters", '{"number": 2}'],
        cwd=folder,
        env={**os.environ, **extra},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return [(folder / f"{name}").read_bytes() for name in PAGES]


PAGES = ("page.html", "page.ipynb", "figure.svg", "figure.pdf")


def test_a_page_is_the_same_for_every_user(tmp_path):
    plain = execute(tmp_path / "plain", {})
    assert f"{sys.prefix} 2" in plain[1].decode()
    assert execute(tmp_path / "other", hostile(tmp_path / "user")) == plain
    assert (tmp_path / "other/.cache/matplotlib").is_dir()


def test_caches_are_in_the_project(tmp_path):
    for name in surroundings.CACHES:
        assert (
            Path(surroundings.variables(tmp_path)[name]).parent == tmp_path / ".cache"
        )


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_commands_run_without_folders_of_the_user(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mathprobe", "settings"],
        env={**os.environ, name: UNUSABLE},
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("extra", [{"HOME": UNUSABLE}, {"XDG_CACHE_HOME": UNUSABLE}])
def test_make_gives_snakemake_a_cache(extra):
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    show = makefile + "\nshow:\n\t@printenv XDG_CACHE_HOME\n"
    plain = {k: v for k, v in os.environ.items() if k != "XDG_CACHE_HOME"}
    done = subprocess.run(
        ["make", "-s", "-f", "-", "show"],
        cwd=PROJECT,
        env={**plain, **extra},
        input=show,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout == f"{PROJECT}/.cache/xdg\n", done.stderr


def test_snakemake_plans_without_folders_of_the_user():
    cache = str(PROJECT / ".cache/xdg")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules"],
        cwd=PROJECT,
        env={**os.environ, "HOME": UNUSABLE, "XDG_CACHE_HOME": cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
