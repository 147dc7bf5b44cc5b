"""The DAG: planned jobs, reruns after changes, and error messages."""

import base64
import json
import math
import os
import re
import shutil
import signal
import time
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import browser
import pytest
import yaml
from synthetic import CATALOG

from mathprobe import cli, estimates
from mathprobe.cluster import minutes
from mathprobe.paper.findings import CLAIMS
from mathprobe.status import PROGRESS_FILE
from workflow import PROJECT, SMOKE, Workflow, count_jobs
from workflow import TEX as PRIVATE_TEX

PDF = "results/smoke/paper.pdf"
DISTRIBUTIONS = 7
NOTEBOOKS = sorted(path.stem for path in (PROJECT / "paper/notebooks").glob("*.py"))
MODELS = {scale: CATALOG.all_models(scale) for scale in CATALOG.scales}


def models_tested_on(scale, distribution):
    """Return the number of models that are tested on a distribution."""
    tests = (
        CATALOG.test_distributions(model["task"], model["distribution"])
        for model in MODELS[scale]
    )
    return sum(distribution in distributions for distributions in tests)


def all_testsets(scale):
    """Return the test sets of all models of a scale."""
    return {
        (model["task"], distribution, model["n"])
        for model in MODELS[scale]
        for distribution in CATALOG.test_distributions(
            model["task"], model["distribution"]
        )
    }


def of_distribution(scale, distribution):
    """Return the test sets of a distribution."""
    return [test for test in all_testsets(scale) if distribution in test]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A copy without results."""
    workflow = Workflow(tmp_path_factory.mktemp("fresh") / "a copy")
    workflow.link_tex()
    return workflow


@pytest.fixture(scope="module")
def report(smoke):
    """The report of the smoke scale."""
    path = "results/smoke/report.html"
    style = ("--report-stylesheet", "workflow/report/style.css")
    done = smoke.snakemake("--report", path, *style, *SMOKE)
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout  # about a caption or a missing file
    return (smoke.folder / path).read_text()


@pytest.fixture(scope="module")
def plan(fresh):
    """Return a function from arguments to the output of a dry run, which runs once."""

    @cache
    def output(*arguments):
        done = fresh.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return output


@pytest.fixture
def changed(smoke):
    """The smoke copy; changes of its configuration are undone after the test."""
    path = smoke.folder / "config/config.yaml"
    before = path.read_text()
    yield smoke
    path.write_text(before)


def has_pdf(workflow):
    """Return whether LaTeX has typeset the paper; `make test` provides LaTeX."""
    return (workflow.folder / PDF).exists()


def of_scale(scale):
    """Return arguments of Snakemake that select a scale."""
    return "--config", f"default_scale={scale}"


@pytest.mark.parametrize("scale", CATALOG.scales)
def test_the_paper_of_a_scale_needs_all_its_models(plan, scale):
    jobs = count_jobs(plan(*of_scale(scale)))
    for rule in ("train", "predict", "score"):
        assert jobs[f"linalg_{rule}"] == len(MODELS[scale])
    assert jobs["linalg_testset"] == len(all_testsets(scale))
    assert jobs["linalg_condition_numbers"] == 1
    assert jobs["paper_pdf"] == 1
    assert jobs["paper_notebook"] == len(NOTEBOOKS)
    assert f"results/{scale}/paper.pdf" in plan(*of_scale(scale))


def test_the_default_target_is_the_default_scale(plan):
    jobs = count_jobs(plan())
    assert jobs == count_jobs(plan(*of_scale("demo")))
    assert jobs["arith_draw"] == len(CATALOG.arith("demo").rows)


# Arguments of a dry run on Slurm, by scale; the paper is the default there.
CLUSTER = {
    "paper": ("--profile", "slurm"),
    "demo": ("--profile", "slurm", *of_scale("demo")),
}


@pytest.mark.parametrize("scale", CLUSTER)
def test_the_cluster_profile_plans_the_same_jobs(plan, scale):
    assert count_jobs(plan(*CLUSTER[scale])) == count_jobs(plan(*of_scale(scale)))


@pytest.fixture(scope="module")
def profile():
    """The profile for Slurm."""
    return yaml.safe_load(Path("slurm/config.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def on_the_cluster(plan):
    """Return rule, wildcards and resources of all jobs of a scale."""

    def jobs(scale):
        output = plan(*CLUSTER[scale])
        return [
            (
                block.split(":")[0],
                *(facts(block, of) for of in ("wildcards", "resources")),
            )
            for block in re.split(r"\n *(?:local)?rule ", output)[1:]
            if not block.startswith("all:")
        ]

    return jobs


def facts(block, name):
    """Return one line of a job in the output of a dry run, as a dictionary."""
    line = re.search(rf"^ +{name}: (.*)$", block, re.M)
    return dict(pair.split("=", 1) for pair in line[1].split(", ")) if line else {}


WITH_GPUS = {
    *("linalg_train", "linalg_predict", "linalg_heads"),
    *("arith_train", "arith_accuracy", "arith_map"),
}


def test_rules_that_run_networks_request_a_gpu_on_the_cluster(on_the_cluster, profile):
    rules = "".join(path.read_text() for path in Path("workflow/rules").glob("*.smk"))
    requesting = re.findall(
        r"^rule (\w+):\n(?:(?:    .*)?\n)*?        \*\*(?:TRAIN|EVALUATE)",
        rules,
        re.M,
    )
    assert set(requesting) == WITH_GPUS
    grouped = set(profile["groups"])  # a group has one partition
    jobs = on_the_cluster("paper")
    requesting = {rule for rule, _, needs in jobs if int(needs.get("gpu", 0))}
    assert {"linalg_train", "linalg_predict"} <= requesting <= WITH_GPUS
    on_gpus = {rule for rule, _, needs in jobs if needs["slurm_partition"] == "gpu"}
    assert requesting < on_gpus <= WITH_GPUS | grouped
    small = on_the_cluster("demo")
    assert {needs["slurm_partition"] for _, _, needs in small} == {"cpu"}
    assert all(needs.get("gpu", "0") == "0" for _, _, needs in small)


def test_rules_require_a_gpu_exactly_if_they_request_one(on_the_cluster):
    for scale, device in (("paper", "cuda"), ("demo", "auto")):
        found = {
            needs["device"]
            for rule, _, needs in on_the_cluster(scale)
            if rule in WITH_GPUS
        }
        assert found == {device}


def test_trainings_request_their_estimated_time_up_to_the_limit(on_the_cluster):
    train = CATALOG.compute("paper").train
    limit = minutes(CATALOG.cluster.max_runtime)
    requested = {
        "/".join(names[key] for key in ("task", "distribution", "n", "recipe")): needs
        for rule, names, needs in on_the_cluster("paper")
        if rule == "linalg_train"
    }
    assert len(requested) == len(MODELS["paper"])
    hours = {}
    for model in MODELS["paper"]:
        operations = estimates.training_flops(CATALOG.model("paper", **model))
        name = "{task}/{distribution}/{n}/{recipe}".format(**model)
        hours[name] = operations / train.flops_per_second / 3600
        estimate = train.margin * 60 * hours[name]
        assert int(requested[name]["runtime"]) == pytest.approx(
            min(estimate, limit), abs=12
        )
    assert max(hours.values()) * 60 > limit  # some trainings need several jobs
    first = max(hours, key=hours.get)
    assert requested[first]["slurm_extra"] == "--nice=0"
    nice = {
        name: int(needs["slurm_extra"].split("=")[1])
        for name, needs in requested.items()
    }
    by_hours = sorted(hours, key=hours.get, reverse=True)
    assert sorted(nice.values()) == [nice[name] for name in by_hours]


def test_retries_suffice_for_the_longest_training(profile):
    train = CATALOG.compute("paper").train
    models = [CATALOG.model("paper", **name) for name in MODELS["paper"]]
    most = max(map(estimates.training_flops, models))
    estimate = train.margin * most / train.flops_per_second / 60
    resubmissions = math.ceil(estimate / minutes(CATALOG.cluster.max_runtime)) - 1
    assert resubmissions >= 1
    assert profile["retries"] >= resubmissions + 2  # and two failures
    rules = [path.read_text() for path in Path("workflow/rules").glob("*.smk")]
    # In a rule, Snakemake would retry inside the Slurm job.
    assert not any("retries:" in text for text in rules)


LOCAL = re.search(
    r"^localrules:\n((?:    .*\n)+)",
    Path("Snakefile").read_text(encoding="utf-8"),
    re.M,
)


def is_local(rule):
    """Return whether a rule is local."""
    return f"    {rule},\n" in LOCAL[1]


@pytest.mark.parametrize("file", ["linalg", "arith", "paper"])
def test_every_rule_has_a_message(file):
    text = (PROJECT / f"workflow/rules/{file}.smk").read_text()
    rules = re.split(r"^rule ", text, flags=re.M)[1:]
    assert [rule for rule in rules if "\n    message:\n" not in rule] == []


# `test_dependencies.py` has more modules, by command.
@pytest.mark.parametrize(
    ("module", "rules"),
    [
        (
            "linalg/distributions",
            {
                *("linalg_testset", "linalg_condition_numbers", "linalg_oracle"),
                *("linalg_evidence", "arith_evidence", "arith_draw"),
            },
        ),
        ("train_state", set()),
    ],
)
def test_a_changed_module_reruns_only_the_rules_that_depend_on_it(smoke, module, rules):
    """Rules that depend on their outputs rerun for another reason: updated inputs."""
    path = smoke.folder / f"src/mathprobe/{module}.py"
    before = path.read_text()
    path.write_text(f"{before}\n# changed\n")
    try:
        done = smoke.snakemake("-n", *SMOKE)
    finally:
        path.write_text(before)
    first = {
        re.search(r"rule (\w+):", job)[1]
        for job in re.split(r"\n\[.*\]\n", done.stdout)
        if "Params have changed" in job
    }
    assert {name for name in first if not name.startswith("paper_")} == rules
    assert not {"linalg_train", "arith_train"} & set(
        re.findall(r"rule (\w+):", done.stdout)
    )


def test_the_paper_is_few_slurm_jobs(plan):
    output = plan(*CLUSTER["paper"])
    models = len(MODELS["paper"])
    single = re.findall(r"^rule (\w+):", output, re.M)
    assert single.count("linalg_train") == output.count("Group job evaluate") == models
    submitted = [rule for rule in single if not is_local(rule)]
    assert len(submitted) + output.count("Group job") < 300
    assert {rule for rule in submitted if rule.startswith("paper_")} == set()
    assert is_local("paper_table")


def test_a_table_is_a_target(fresh):
    jobs = fresh.planned_jobs("results/demo/tables/ood_eigenvalues_n2.csv")
    assert jobs["linalg_train"] == DISTRIBUTIONS
    assert "paper_pdf" not in jobs


def test_any_valid_path_is_a_target(fresh):
    path = "results/demo/linalg/eigenvalues/gaussian/n3/attended/scores.csv"
    jobs = fresh.planned_jobs(path, "results/demo/tables/ood_eigenvalues_n3.csv")
    assert jobs["linalg_train"] == jobs["linalg_score"] == 1 + DISTRIBUTIONS
    assert jobs["paper_table"] == 1


def test_a_finished_scale_has_every_kind_of_file(smoke):
    results = smoke.folder / "results/smoke"
    if has_pdf(smoke):
        assert (smoke.folder / PDF).stat().st_size > 10_000
    model = results / "linalg/eigenvalues/laplace/n2/base"
    assert sorted(os.listdir(model)) == [
        *("curve.csv", "examples.npz", "model.safetensors", "predictions.npz"),
        *("run.json", "scores.csv", "state"),
    ]
    head = (results / "tables/ood_eigenvalues_n2.csv").read_text().splitlines()[0]
    assert head == (
        "task,train,test,n,recipe,seeds,examples,accuracy,low,high,oracle,published,spread"
    )
    for figure in (
        "generalization/ood_eigenvalues_n2",
        "learning_speed/curves_eigenvalues_n2",
        "spectral_properties/failure_properties",
        "spectral_properties/heads",
        "verifiers/roc",
    ):
        assert (results / f"figures/{figure}.pdf").exists()
    for notebook in NOTEBOOKS:
        assert (results / f"notebooks/{notebook}.html").exists()
        assert (smoke.folder / f"logs/results/smoke/notebooks/{notebook}.log").exists()


def test_a_finished_scale_has_no_jobs_left(smoke):
    done = smoke.snakemake("-n", *SMOKE)
    assert count_jobs(done.stdout) == {}
    assert "missing" not in done.stdout  # metadata


def variable(page, name):
    """Return a JavaScript variable of the report."""
    place = re.search(rf'var {name} = (?=[{{"])', page).end()
    return json.JSONDecoder().raw_decode(page, place)[0]


def test_the_report_has_every_result_with_a_caption(smoke, report):
    results = variable(report, "results")
    folder = smoke.folder / "results/smoke"
    patterns = ("tables/*.csv", "figures/*/*.svg", "notebooks/*.html")
    expected = [path for pattern in patterns for path in folder.glob(pattern)]
    expected += [smoke.folder / PDF] * has_pdf(smoke)
    expected += folder.glob("arith/*/circuit/circuit.html")
    assert {str(path.relative_to(smoke.folder)) for path in expected} <= set(results)
    assert [path for path, result in results.items() if not result["caption"]] == []
    generic = "An executed notebook."
    assert not any(generic in result["caption"] for result in results.values())
    categories = variable(report, "categories")
    assert set(categories) == {"First study", "Second study", "Findings"}
    assert set(categories["First study"]) == {"Pages", "Figures", "Tables"}
    assert set(categories["Second study"]) == {"Pages", "Figures", "Tables", "Models"}
    assert "results/smoke/notebooks/overview.html" in categories["Findings"]["Pages"]


def test_the_report_opens_with_the_findings(report):
    front = variable(report, "workflow_desc")
    assert "scale <strong>smoke</strong>" in front
    assert "smaller than the published setting" in front
    assert CLAIMS["asymmetric"].statement in front
    assert "System Message" not in front  # of docutils, about an error


OPENED = """
const frame = () => document.querySelector("iframe");
const opened = [];
for (const link of [...document.querySelectorAll(".prose a[href^=javascript]")]) {
  const before = frame();
  link.click();
  for (let tries = 0; frame() === before && tries < 100; tries++) {
    await new Promise(done => setTimeout(done, 20));
  }
  opened.push(frame() === before ? "nothing" : frame().src.split(";")[0]);
}
return opened;"""


@pytest.mark.browser
def test_links_on_the_front_page_open_results_in_a_browser(smoke, report, tmp_path):
    pages = len(NOTEBOOKS) + len(CATALOG.arith("smoke").rows)
    expected = ["data:application/pdf"] * has_pdf(smoke) + ["data:text/html"] * pages
    assert browser.measure(report, tmp_path, OPENED) == [expected] * 2


@pytest.mark.browser
def test_the_report_does_not_scroll_sideways(report, tmp_path):
    assert browser.overflow(report, tmp_path) == [0, 0]


class Loads(HTMLParser):
    """Collects the URLs that a page loads."""

    TAGS = ("img", "script", "link", "iframe", "source", "object", "embed", "video")

    def __init__(self, page):
        super().__init__()
        self.loaded = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag in self.TAGS:
            self.loaded += [v for k, v in attrs if k in ("src", "href", "data")]


def test_the_report_loads_no_external_files(report):
    pages = [report]
    for result in variable(report, "results").values():
        kind, _, data = result["data_uri"].partition(";")
        assert kind.startswith("data:")
        if kind == "data:text/html":
            pages.append(base64.b64decode(data.partition(",")[2]).decode())
    assert len(pages) == 1 + len(NOTEBOOKS) + len(CATALOG.arith("smoke").rows)
    loaded = [address for page in pages for address in Loads(page).loaded]
    assert len(loaded) > len(NOTEBOOKS)  # figures
    assert not [address for address in loaded if not address.startswith("data:")]
    assert not any("@import" in page for page in pages[1:])


# Deleted from the storage: files of a model of each study, and results that use them.
LOST = [
    *("linalg/inverse/uniform_coefficients/n2/half", "tables/failures_inverse_n2.csv"),
    *("arith/ins1_mix_d2_l2_h3_t0.02K_s1/facts", "tables/arith_reuse.csv"),
    *("arith/ins1_mix_d2_l2_h3_t0.02K_s1/reuse.csv", "figures/subtraction_circuit"),
]


def files_below(folder, names):
    """Return all files with these names, or in folders with these names."""
    paths = [folder / name for name in names]
    within = [path for one in paths for path in one.rglob("*") if path.is_file()]
    return [path for path in paths if path.is_file()] + within


def with_rsync(tmp_path):
    """Return a PATH with rsync, or with a script that replaces it."""
    if not shutil.which("rsync"):
        copy = tmp_path / "bin/rsync"
        copy.parent.mkdir()
        copy.write_text('#!/bin/sh\nexec cp -rL --preserve=timestamps "$4" "$5"\n')
        copy.chmod(0o755)
    return os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])


def test_files_lost_in_a_storage_are_restored_bitwise_identically(smoke, tmp_path):
    other = Workflow(tmp_path / "copy")
    other.link_tex()
    stored = tmp_path / "stored/results/smoke"
    states = shutil.ignore_patterns("state")  # not results
    shutil.copytree(smoke.folder / "results/smoke", stored, ignore=states)
    provider = ("--default-storage-provider", "fs", "--default-storage-prefix")
    settings = (*provider, tmp_path / "stored", "--cores", 2, "--show-failed-logs")
    assert other.planned_jobs(*settings, *SMOKE) == {}
    before = {path: path.read_bytes() for path in files_below(stored, LOST)}
    for path in before:
        path.unlink()
    names = [name for name in LOST if Path(name).suffix or name.startswith("figures")]
    targets = [f"results/smoke/{name}" for name in names]
    done = other.snakemake(*settings, *targets, path=with_rsync(tmp_path))
    assert done.returncode == 0, done.stdout
    assert not {path for path in before if not path.exists()}
    timed = {path for path in before if path.name == "run.json"}
    changed = {path for path in before if path.read_bytes() != before[path]}
    assert changed <= timed
    assert not (other.folder / "results/smoke/tables").exists()
    assert other.planned_jobs(*settings, *targets) == {}


def test_pdf_and_pages_are_bitwise_reproducible(smoke):
    paths = [*[PDF] * has_pdf(smoke), "results/smoke/notebooks/overview.html"]
    before = {path: (smoke.folder / path).read_bytes() for path in paths}
    done = smoke.snakemake("--cores", 2, "--force", *paths)
    assert done.returncode == 0, done.stdout
    for path, content in before.items():
        assert (smoke.folder / path).read_bytes() == content, path


def test_a_changed_distribution_reruns_only_jobs_that_depend_on_it(changed):
    changed.configure("  distributions: {}", "  distributions: {laplace: {bound: 5.0}}")
    jobs = changed.planned_jobs(*SMOKE)
    assert jobs["linalg_testset"] == len(of_distribution("smoke", "laplace"))
    assert jobs["linalg_train"] == 1  # no learning curve uses it
    tested = models_tested_on("smoke", "laplace")
    assert DISTRIBUTIONS < tested < len(MODELS["smoke"])
    assert jobs["linalg_predict"] == jobs["linalg_score"] == tested
    assert jobs["linalg_condition_numbers"] == 1


def test_a_new_test_set_trains_nothing(smoke):
    path = smoke.folder / "results/smoke/linalg/testsets/eigenvalues/semicircle/n2.npz"
    path.touch()
    assert "linalg_train" not in smoke.planned_jobs(*SMOKE)


def test_a_changed_distribution_reruns_trainings_whose_learning_curves_use_it(changed):
    changed.configure(
        "  distributions: {}", "  distributions: {semicircle: {bound: 5.0}}"
    )
    affected = [
        model
        for model in MODELS["smoke"]
        if "semicircle" in CATALOG.model("smoke", **model).curve.tests
    ]
    assert len(affected) > DISTRIBUTIONS
    assert changed.planned_jobs(*SMOKE)["linalg_train"] == len(affected)


def test_a_changed_tolerance_trains_nothing(changed):
    changed.configure("[0.05, 0.02, 0.01, 0.005]", "[0.05, 0.02, 0.01]")
    jobs = changed.planned_jobs(*SMOKE)
    assert jobs["linalg_score"] == len(MODELS["smoke"])
    assert not {"linalg_train", "linalg_predict", "linalg_testset"} & set(jobs)


def test_a_recipe_that_nothing_names_reruns_nothing(changed):
    recipe = "    faster: {schedule: {learning_rate: 4.0e-3}}\n"
    changed.configure("    single: #", f"{recipe}    single: #")
    scores = "results/smoke/linalg/eigenvalues/laplace/n2/faster/scores.csv"
    jobs = {"linalg_train": 1, "linalg_predict": 1, "linalg_score": 1}
    assert changed.planned_jobs("all", scores, *SMOKE) == jobs


def test_another_device_reruns_nothing(smoke):
    rules = "linalg_train", "linalg_predict", "arith_train", "arith_map"
    devices = [f"{rule}:device=cpu" for rule in rules]
    assert smoke.planned_jobs(*SMOKE, "--set-resources", *devices) == {}


def test_changed_resources_rerun_nothing(changed):
    changed.configure(
        "mem_mb: 2000, flops_per_second: 3.8e+10, margin: 6, save_every: 1",
        "mem_mb: 9000, flops_per_second: 3.8e+10, margin: 7, save_every: 7",
    )
    assert changed.planned_jobs(*SMOKE) == {}


def test_an_invalid_configuration_is_reported_without_a_traceback(changed):
    changed.configure("clip_norm: 5.0", "clip_nrm: 5.0")
    done = changed.snakemake("-n")
    assert done.returncode != 0
    assert "unknown key 'clip_nrm'; did you mean 'clip_norm'?" in done.stdout
    assert "Traceback" not in done.stdout


def test_an_unknown_name_in_a_target_is_reported_with_similar_names(fresh):
    done = fresh.snakemake("-n", "results/dmeo/paper.pdf")
    assert done.returncode != 0
    assert "unknown scale 'dmeo'; did you mean 'demo'?" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_damaged_test_set_is_reported_and_no_output_remains(smoke):
    tests = smoke.folder / "results/smoke/linalg/testsets/eigenvalues/uniform/n2.npz"
    good = tests.read_bytes()
    out = "results/smoke/linalg/eigenvalues/laplace/n2/base/predictions.npz"
    content = (smoke.folder / out).read_bytes()
    tests.write_bytes(good[:-40])
    try:
        done = smoke.snakemake("--cores", 1, "--show-failed-logs", "--force", out)
        assert done.returncode != 0
        assert "damaged" in done.stdout
        assert "uniform/n2.npz" in done.stdout
        assert "remove the file and run again" in done.stdout
        assert not (smoke.folder / out).exists()
    finally:
        tests.write_bytes(good)
        (smoke.folder / out).write_bytes(content)


def without(tmp_path, *names):
    """Return a PATH without some programs."""
    folders = []
    for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
        if any((folder / name).exists() for name in names):
            mirror = tmp_path / f"bin{len(folders)}"
            mirror.mkdir()
            for program in set(folder.iterdir()) - {folder / name for name in names}:
                (mirror / program.name).symlink_to(program)
            folder = mirror
        folders.append(str(folder))
    return os.pathsep.join(folders)


def test_typesetting_unpacks_a_private_latex(smoke, tmp_path):
    if not (PROJECT / PRIVATE_TEX).exists():
        pytest.skip("no private LaTeX")
    fake = tmp_path / "fake"
    fake.mkdir()
    for name in ("apt-get", "dpkg"):
        (fake / name).write_text("#!/bin/sh\n")
        (fake / name).chmod(0o755)
    script = smoke.folder / "envs/get_tex.sh"
    link, content = smoke.folder / PRIVATE_TEX, script.read_text()
    link.unlink()
    script.write_text(f'ln -s "{(PROJECT / PRIVATE_TEX).resolve()}" "$1"\n')
    path = f"{fake}:{without(tmp_path, 'pdflatex', 'tectonic')}"
    before = (smoke.folder / PDF).read_bytes()
    try:
        done = smoke.snakemake("--cores", 1, "--force", PDF, path=path)
        assert done.returncode == 0, done.stdout
        assert "a private one will be unpacked" in done.stdout
    finally:
        script.write_text(content)
    assert link.is_symlink()
    assert (smoke.folder / PDF).read_bytes() == before


TEX = ("apt-get", "dpkg", "pdflatex", "tectonic")


def test_without_latex_all_but_the_pdf_is_planned(tmp_path):
    bare = Workflow(tmp_path / "copy")
    plan = bare.snakemake("-n", "--quiet", "host", path=without(tmp_path, *TEX))
    assert plan.returncode == 0, plan.stdout
    assert "The PDF of the paper is skipped" in plan.stdout
    assert "conda install -c conda-forge tectonic" in plan.stdout
    assert "paper_notebook" in plan.stdout
    assert "paper_pdf" not in plan.stdout


def test_without_latex_the_pdf_fails_with_installation_advice(smoke, tmp_path):
    link = smoke.folder / PRIVATE_TEX
    link.rename(smoke.folder / "aside")
    pdf = smoke.folder / PDF
    content = pdf.read_bytes() if pdf.exists() else None
    try:
        done = smoke.snakemake(
            *("--cores", 1, "--show-failed-logs", "--force", PDF),
            path=without(tmp_path, *TEX),
        )
    finally:
        (smoke.folder / "aside").rename(link)
        if content is not None:
            pdf.write_bytes(content)
    assert done.returncode != 0
    assert "mathprobe typeset: LaTeX is missing" in done.stdout
    assert "module load texlive" in done.stdout
    assert "Traceback" not in done.stdout


def test_an_interrupted_run_is_resumed(tmp_path):
    workflow = Workflow(tmp_path / "copy")
    workflow.configure("            examples: 640\n", "            examples: 64000\n")
    workflow.configure(
        "            curve_every: 320\n", "            curve_every: 32000\n"
    )
    folder = workflow.folder / "results/smoke/linalg/eigenvalues/laplace/n2/base"
    target = folder.relative_to(workflow.folder) / "run.json"
    process = workflow.start("--cores", 1, target, start_new_session=True)
    while not (folder / PROGRESS_FILE).exists():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "checkpoint saved" in output
    assert not (folder / "run.json").exists()
    done = workflow.snakemake("--cores", 1, target, "--rerun-incomplete")
    assert done.returncode == 0, done.stdout
    assert "resuming after" in done.stdout
    assert json.loads((folder / "run.json").read_text())["attempts"] == 2


def test_the_distribution_in_the_docs_is_added_to_tables_and_figures(smoke, tmp_path):
    code = re.search(
        r"```python\n(@DISTRIBUTIONS.*?)```",
        Path("docs/development.md").read_text(encoding="utf-8"),
        re.S,
    )[1]
    grown = tmp_path / "grown"
    shutil.copytree(smoke.folder, grown, symlinks=True)
    distributions = grown / "src/mathprobe/linalg/distributions.py"
    distributions.write_text(f"{distributions.read_text()}\n\n{code}")
    more = Workflow.at(grown)
    jobs = more.planned_jobs(*SMOKE)
    assert jobs["linalg_train"] == 1
    # The module of distributions has changed, so all test sets are made again.
    new = of_distribution("smoke", "laplace")
    assert jobs["linalg_testset"] == len(all_testsets("smoke")) + len(new)
    assert jobs["linalg_predict"] == len(MODELS["smoke"]) + 1
    names = "ood_eigenvalues_n2.csv", "out_of_distribution.tex", "generalization.html"
    folders = "tables", "tables", "notebooks"
    table, latex, page = (
        f"results/smoke/{folder}/{name}"
        for folder, name in zip(folders, names, strict=True)
    )
    # By times alone, the test sets of other distributions are not made again.
    settings = "--cores", 2, "--show-failed-logs", "--rerun-triggers", "mtime"
    done = more.snakemake(table, latex, page, *settings)
    assert done.returncode == 0, done.stdout
    rows = (grown / table).read_text().splitlines()
    assert len(rows) == 1 + (DISTRIBUTIONS + 1) ** 2
    assert all("cauchy" in (grown / path).read_text() for path in (latex, page))


def test_a_record_trains_nothing(fresh):
    jobs = fresh.planned_jobs("results/record/paper.pdf")
    assert jobs["paper_pdf"] == jobs["linalg_oracle"] == 1
    assert not {"linalg_train", "linalg_predict", "linalg_testset"} & set(jobs)
    path = "results/record/linalg/eigenvalues/laplace/n5/base/run.json"
    assert "MissingRuleException" in fresh.snakemake("-n", path).stdout


TABLES = [
    f"tables/{name}.csv"
    for name in ("failures_inverse_n2", "roc_inverse_n2", "condition_numbers")
]
MATRIX = "tables/ood_eigenvalues_n2.csv"
OVERVIEW = "notebooks/overview.html"


@pytest.mark.parametrize(
    "targets",
    [[OVERVIEW, MATRIX, *TABLES], pytest.param([], marks=pytest.mark.slow)],
    ids=["few", "all"],
)
def test_an_archive_gives_the_same_numbers_in_another_clone(smoke, tmp_path, targets):
    packed = tmp_path / "smoke.tar.zst"
    config = smoke.folder / "config/config.yaml"
    results = smoke.folder / "results/smoke"
    cli.main(["archive", str(results), str(packed), "--config", str(config)])
    other = Workflow(tmp_path / "copy")
    other.link_tex()
    cli.main(["unpack", str(packed), str(other.folder / "unpacked")])
    lost = "linalg/eigenvalues/laplace/n2/base"
    shutil.rmtree(other.folder / "unpacked" / lost)
    settings = "--configfile", "unpacked/config.json"
    assert "linalg_train" not in other.planned_jobs(*settings)
    paths = [f"results/record/{name}" for name in targets]
    done = other.snakemake(*paths, *settings, "--cores", 2, "--show-failed-logs")
    assert done.returncode == 0, done.stdout
    record = other.folder / "results/record"
    assert (record / OVERVIEW).exists()
    assert (record / "paper.pdf").exists() == (not targets and has_pdf(smoke))
    for name in TABLES:
        assert (record / name).read_bytes() == (results / name).read_bytes()
    before, after = (
        (folder / MATRIX).read_text().splitlines() for folder in (results, record)
    )
    of_lost = [row for row in after if row.startswith("eigenvalues,laplace,")]
    assert set(after) - set(of_lost) <= set(before)
    assert len(after) == len(before)
    assert of_lost[0] == "eigenvalues,laplace,semicircle,2,base,,,,,,,,"
