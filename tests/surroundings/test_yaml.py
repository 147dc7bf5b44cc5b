"""A value in YAML or JSON has one meaning, and a key has one value."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mathprobe import files, strict_yaml
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError

PROJECT = Path(__file__).parents[2]
AMBIGUOUS = {  # and what PyYAML reads
    "24:00:00": "86400",
    "1:30.5": "90.5",
    "-1:30": "-90",
    "010": "8",
    "-010": "-8",
    "08": "'08'",
    "0o10": "'0o10'",
    "0b11": "3",
    "-0x1F": "-31",
    "1_000": "1000",
    "1_0.5": "10.5",
    "1e-4": "'1e-4'",
    "1.5e3": "'1.5e3'",
    "-.5": "'-.5'",
    "yes": "True",
    "No": "False",
    "ON": "True",
    "off": "False",
    "2026-01-31": "a date",
    "2026-13-31": "a date",
    "2026-01-31 10:00:00": "a date",
}
PLAIN = (  # values with one meaning
    *("10", "-3", "0", "+5", "0x1F", "1.0e-4", "1.5e+3", ".5", "2.", ".inf", "null"),
    *("~", "true", "False", "n", "y", "16G", "1d", "a100", "1080ti", "a,b", "1.2.3"),
    *("12:a", "none", "é", "nan", "10-20", "+", "-1-", "1e", "0x", "!!str 010"),
    *('"010"', "'yes'", "|\n  24:00:00", "[1, a]", "{a: 1.0}", ""),
)


def read(folder, text, name="a.yaml"):
    (folder / name).write_text(text, encoding="utf-8")
    return strict_yaml.read(folder / name)


@pytest.mark.parametrize("text", AMBIGUOUS)
@pytest.mark.parametrize("place", ["a: {}\n", "- {}\n", "a: [1, {}]\n", "{}: 1\n"])
def test_a_value_with_two_meanings_is_refused(tmp_path, text, place):
    with pytest.raises(InputError) as error:
        read(tmp_path, "# first line\n" + place.format(text))
    meaning = AMBIGUOUS[text]
    start = f"{tmp_path}/a.yaml:2: {text} is ambiguous: YAML 1.1 reads {meaning}; "
    assert str(error.value).startswith(start)
    assert f'write "{text}"' in str(error.value)


@pytest.mark.parametrize("text", PLAIN)
def test_other_values_are_read_as_by_snakemake(tmp_path, text):
    assert repr(read(tmp_path, f"a: {text}")) == repr(yaml.safe_load(f"a: {text}"))


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", (1, 3)),
        ("a: {b: 1, c: 2,\n  b: 3}\n", "b", (1, 2)),
        ('a: 1\n"a": 3\n', "a", (1, 2)),
        ("x:\n- a: 1\n  b:\n    c: 1\n    c: 1\n", "c", (4, 5)),
        ("5: 1\n5: 2\n", "5", (1, 2)),
        ("a: &b {c: 1}\nd: {<<: *b, e: 1, e: 2}\n", "e", (2, 2)),
        ("true: 1\nTrue: 2\n", "True", (1, 2)),
        ("1: 1\n1.0: 2\n", "1.0", (1, 2)),
        ("null: 1\n~: 2\n", "~", (1, 2)),
    ],
)
def test_a_key_that_occurs_twice_is_refused_with_both_places(
    tmp_path, text, key, lines
):
    first, second = lines
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert str(error.value) == (
        f"{tmp_path}/a.yaml:{second}: the key {key!r} is already in line {first}; "
        "remove one of them"
    )


@pytest.mark.parametrize(
    "text", ["a: &x {b: 1}\nc: *x\nd: {<<: *x, b: 2}\n", "a: &x [1]\nb: [*x, *x]\n"]
)
def test_aliases_and_merged_keys_are_no_duplicates(tmp_path, text):
    assert read(tmp_path, text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!timestamp 2026-01-31\n", ":1: the tag tag:yaml.org,2002:timestamp is"),
        ("a: 1\nb: !env HOME\n", ":2: the tag !env is not allowed; write text, a num"),
        ("a: !!int '08'\n", ": invalid YAML: invalid literal for int"),
        ("a: &b {c: *b}\n", ": invalid YAML: Circular reference"),
        ("a: " + "[" * 3000 + "]" * 3000, ": invalid YAML: maximum recursion depth"),
    ],
)
def test_a_value_that_json_cannot_express_is_refused(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/a.yaml{message}")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "- a\n", "demo\n"])
def test_a_file_without_settings_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.yaml: no settings; write some"):
        Catalog.load(PROJECT / "config/config.yaml", tmp_path / "mine.yaml")


@pytest.mark.parametrize("number", [".inf", "1.0e+400", "9223372036854775808"])
def test_a_number_that_no_tensor_can_hold_is_refused(tmp_path, number):
    text = f"linalg: {{distributions: {{laplace: {{bound: {number}}}}}}}\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    message = r"config\.linalg\.distributions\.laplace\.bound: .* is too large; write a"
    with pytest.raises(InputError, match=message):
        Catalog.load(PROJECT / "config/config.yaml", tmp_path / "mine.yaml")


def test_json_is_read_as_by_snakemake_but_without_duplicate_keys(tmp_path):
    value = {"a": 1e-05, "b": [True, None, "yes"]}
    assert read(tmp_path, json.dumps(value), "a.json") == value
    (tmp_path / "b.json").write_text('{"a": [{"b": 1, "b": 2}]}', encoding="utf-8")
    with pytest.raises(files.DamagedFile, match=r"b.json: .*'b' occurs twice"):
        strict_yaml.read(tmp_path / "b.json")


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InputError, match=r"a.yaml: save this file as UTF-8"):
        strict_yaml.read(tmp_path / "a.yaml")


def test_all_files_of_the_project_are_read_as_by_snakemake():
    paths = [*PROJECT.glob("config/*.yaml"), *PROJECT.glob("paper/published/*.yaml")]
    paths += [*PROJECT.glob("workflow/profiles/*/*.yaml"), *PROJECT.glob("envs/*.yaml")]
    assert len(paths) > 4
    for path in paths:
        assert strict_yaml.read(path) == yaml.safe_load(path.read_text("utf-8"))


def test_snakemake_refuses_its_configuration_files(tmp_path):
    text = "compute:\n  demo: {predict: {runtime: 1:00:00}}\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile"]
    done = subprocess.run(
        [*command, str(tmp_path / "mine.yaml")],
        cwd=PROJECT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert "mine.yaml:2: 1:00:00 is ambiguous" in done.stdout
