"""The settings of a cluster, as sites write them."""

import re

import pytest
import yaml

from mathprobe.catalog import Catalog
from mathprobe.cluster import check_resources, megabytes, profiles
from mathprobe.errors import InputError
from workflow import PROJECT, Workflow

CONFIG = PROJECT / "config/config.yaml"
MODEL = "results/paper/linalg/inverse/uniform_coefficients/n5/base"


def with_settings(**changes):
    """Return the configuration with other settings of `cluster`."""
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    config["cluster"] |= changes
    return config


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Workflow(tmp_path_factory.mktemp("cluster") / "copy")


def planned(copy):
    """Return the resources of a job of each rule in a dry run on Slurm."""
    done = copy.snakemake("-n", "--profile", "slurm", f"{MODEL}/scores.csv")
    assert done.returncode == 0, done.stdout
    pattern = r"^ *(?:local)?rule (\w+):$.*?^ *resources: (.*?)$"
    return {
        rule: dict(pair.split("=", 1) for pair in resources.split(", "))
        for rule, resources in re.findall(pattern, done.stdout, re.M | re.S)
    }


@pytest.mark.parametrize(
    "name", ["all", "max", "gpu-a100", "1080ti", "a,b", "input", "GPU_long"]
)
def test_any_name_of_a_partition_is_passed_to_slurm(name):
    written = yaml.safe_load(f"partition: {name}")  # without quotes
    settings = Catalog(with_settings(gpu=written), PROJECT).cluster
    assert settings.resources(gpus=1) == {"slurm_partition": name}


def test_a_site_edits_one_file_without_python(copy):
    """Change both partitions and the number of GPUs, and set all other options."""
    text = CONFIG.read_text("utf-8")
    block = text[text.index("\ncluster:") :]
    edited = block.replace("partition: cpu", "partition: all")
    edited = edited.replace("partition: gpu", "partition: a,b").replace(
        "# gpu_model", "gpu_model"
    )
    more = ["account: me", "qos: long", "constraint: a100&nvlink", "exclude: n[1-3],n7"]
    text = text.replace(block, "\n    ".join([edited.rstrip(), *more]))
    (copy.folder / "config/config.yaml").write_text(text, encoding="utf-8")
    jobs = planned(copy)
    train = jobs["linalg_train"]
    expected = {
        "slurm_partition": "a,b",
        "slurm_account": "me",
        "qos": "long",
        "constraint": "a100&nvlink",
        "gpu_model": "a100",
        "gpu": "1",
    }
    assert expected.items() <= train.items()
    assert re.fullmatch(r"--nice=\d+ --exclude='n\[1-3\],n7'", train["slurm_extra"])
    assert jobs["linalg_score"]["slurm_partition"] == "a,b"  # in a group
    assert jobs["linalg_testset"]["slurm_partition"] == "all"
    one = "train: {gpus: 1"
    assert text.count(one) == 1
    without = text.replace(one, "train: {gpus: 0")
    (copy.folder / "config/config.yaml").write_text(without, encoding="utf-8")
    assert planned(copy)["linalg_train"]["slurm_partition"] == "all"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *[
            (text, 1440)
            for text in ("1440", '"1440"', "24h", '"24h"', "1d", "24 hours")
        ],
        *[("1d 12h", 2160), ("90 min", 90), ("2 days", 2880)],
    ],
)
def test_times_have_units(written, expected):
    value = yaml.safe_load(written)
    settings = Catalog(with_settings(max_runtime=value), PROJECT).cluster
    assert settings.limited(10**6) == expected
    assert settings.limited(5) == 5


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        *[("24:00:00", 1440), ("1-00:00:00", 1440), ("1-12", 2160), ("90:00", 90)],
        *[("2-0:30", 2910), ("0:0:1", 1)],
    ],
)
def test_a_time_in_the_format_of_slurm_is_refused_with_its_minutes(value, meant):
    with pytest.raises(InputError) as caught:
        Catalog(with_settings(max_runtime=value), PROJECT)
    message = str(caught.value)
    assert message.startswith(f"config.cluster: {value!r} is not a time; write minutes")
    assert f"or here {meant} (it is in the format of Slurm)" in message


@pytest.mark.parametrize("value", [0, -5, "", "x", "1.5h", "h", 1.5, True, None])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(InputError, match=r"config\.cluster"):
        Catalog(with_settings(max_runtime=value), PROJECT)


@pytest.mark.parametrize(
    ("value", "size"), [("16G", 16000), ("16 GB", 16000), ("1.5T", 1500000)]
)
def test_memory_with_a_unit_is_refused_with_its_megabytes(value, size):
    config = with_settings()
    config["compute"]["paper"]["train"]["mem_mb"] = value
    with pytest.raises(InputError) as caught:
        Catalog(config, PROJECT)
    place = "config.compute.paper.train.mem_mb"
    assert str(caught.value).startswith(f"{place}: {value!r} is not a whole number")
    assert f"(write megabytes: {size})" in str(caught.value)
    assert megabytes("16") is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"partition": 1080},
            'partition: 1080 is not text (write it in quotes: "1080")',
        ),
        *[
            ({"partition": "a", **value}, "is not a name; write one like gpu-a100")
            for name in ("a b", "a, b", "'all'", "", "a\n", "-p x", "$PART", "{a}")
            for value in ({"partition": name}, {"qos": name})
        ],
        ({"partition": "a", "acount": "b"}, "did you mean 'account'?"),
        ({}, "config.cluster.cpu: partition is missing"),
    ],
)
def test_names_that_slurm_cannot_have_are_refused(values, message):
    with pytest.raises(InputError) as caught:
        Catalog(with_settings(cpu=values), PROJECT)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("runtime", "24:00:00", "or here 1440"),
        ("runtime", "'24:00:00'", "or here 1440"),
        ("mem_mb", "16G", "write mem_mb: 16000, or mem: 16G"),
        ("mem_mb", "'16 GB'", "write mem_mb: 16000, or mem: 16 GB"),
        ("slurm_partition", "all.q", "Snakemake reads all.q as a name of Python"),
        ("slurm_partition", "all", "Snakemake reads all as a name of Python"),
        ("qos", "input", "Snakemake reads input as a name of Python"),
    ],
)
def test_values_in_a_profile_that_snakemake_misreads_are_refused(name, text, message):
    with pytest.raises(InputError) as caught:
        check_resources("default-resources", {name: text})
    assert str(caught.value).startswith(f"default-resources: {name}: ")
    assert message in str(caught.value)


def test_other_values_in_a_profile_are_left_to_snakemake():
    values = {"runtime": "24h", "mem": "16G", "mem_mb": "2 * input.size_mb"}
    names = {"slurm_partition": "'all.q'", "constraint": "a,b", "gpu_model": None}
    check_resources("default-resources", values | names)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mem_mb: 2000", "mem_mb: 16G", "mem_mb: '16G' is not a whole number"),
        ("runtime: 30", "runtime: 24:00:00", "24:00:00 is ambiguous: YAML 1.1 reads"),
    ],
)
def test_a_value_in_a_profile_of_the_user_is_refused_in_one_line(
    copy, tmp_path, old, new, message
):
    text = (copy.folder / "slurm/config.yaml").read_text("utf-8")
    assert text.count(old) == 1
    profile = tmp_path / "mine.yaml"
    profile.write_text(text.replace(old, new), encoding="utf-8")
    done = copy.snakemake("-n", "--profile", profile, f"{MODEL}/run.json")
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "variable", "expected"),
    [
        (["-n"], None, ["profiles/default/config.yaml"]),
        (["-n", "--workflow-profile", "none"], None, []),
        (["--workflow-profile=mine"], None, ["mine/profile.yaml"]),
        (
            *(["--profile", "mine", "--profile", "mine/a.yaml"], None),
            ["mine/profile.yaml", "mine/a.yaml", "profiles/default/config.yaml"],
        ),
        (["all"], "mine", ["mine/profile.yaml", "profiles/default/config.yaml"]),
    ],
)
def test_profiles_are_found_however_they_are_named(
    tmp_path, monkeypatch, arguments, variable, expected
):
    for name in ("Snakefile", "profiles/default/config.yaml", "mine/profile.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("jobs: 1\n", encoding="utf-8")
    (tmp_path / "mine/a.yaml").write_text("jobs: 1\n", encoding="utf-8")
    if variable:
        monkeypatch.setenv("SNAKEMAKE_PROFILE", variable)
    assert profiles(arguments, tmp_path) == [tmp_path / name for name in expected]
