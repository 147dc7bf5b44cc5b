"""Read YAML, and refuse text that two readers understand differently.

PyYAML, and therefore Snakemake, follows YAML 1.1, but most other readers follow YAML
1.2.  They differ in `24:00:00` (86400 or text), `010` (8 or 10), `on` (true or text),
`1e-4` (text or a number) and others.  If a key occurs twice, PyYAML drops its first
value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mathprobe import files
from mathprobe.errors import InputError

TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"  # of the key `<<`
DATE = re.compile(r"\d{4}-")
# Plain scalars of YAML 1.2.2, section 10.3.2, but an integer has no leading zero.
CORE_SCHEMA = {
    "null": r"|~|null|Null|NULL",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "str": r"[\s\S]*",
}
COLLECTIONS = (f"{TAG}seq", f"{TAG}map")
CORE = {f"{TAG}{name}": re.compile(text) for name, text in CORE_SCHEMA.items()}
AMBIGUOUS = "!ambiguous"  # the tag of a scalar with two meanings
# The fast parser is missing if PyYAML was built without libyaml.
Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(Parser):
    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        tag: str = super().resolve(kind, value, implicit)
        is_plain = kind is yaml.ScalarNode and implicit[0]
        return AMBIGUOUS if is_plain and tag not in (_core_tag(value), MERGE) else tag


def _core_tag(text: str) -> str:
    return next(tag for tag, pattern in CORE.items() if pattern.fullmatch(text))


def read(path: Path | str) -> Any:
    """Read a YAML file, or a JSON file if its name ends in `.json`.

    Raises InputError, with the line, if the file is invalid, has a key twice in the
    same mapping, has a value whose meaning depends on the version of YAML, or has one
    that JSON cannot express.
    """
    path = Path(path)
    if path.suffix == ".json":
        return files.read_json(path)
    try:
        loader = _Loader(path.read_text("utf-8"))
        root = loader.get_single_node()
        for node in _nodes(root, set()):
            _check_tag(node, path)
        for node in _nodes(root, set()):
            if isinstance(node, yaml.MappingNode):
                _check_keys(node, loader, path)
        value = None if root is None else loader.construct_document(root)
        json.dumps(value)  # fails if an alias contains itself
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: save this file as UTF-8 ({error})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: invalid YAML: {error}") from error
    return value


def _nodes(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.Node]:
    """Yield a node and all nodes below it, each of them once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.CollectionNode):
        for child in node.value:
            for one in child if isinstance(child, tuple) else [child]:
                yield from _nodes(one, seen)


def _check_tag(node: yaml.Node, path: Path) -> None:
    """Raise InputError for an ambiguous scalar, or a tag of another type of value."""
    if node.tag == AMBIGUOUS:
        raise InputError(
            f"{_place(node, path)}: {node.value} is ambiguous: YAML 1.1 reads "
            f'{_old_meaning(node.value)}; if it is text, write "{node.value}"; else '
            "write a number like 10 or 1.0e-4, or true or false"
        )
    if node.tag not in (*CORE, *COLLECTIONS, MERGE):
        raise InputError(
            f"{_place(node, path)}: the tag {node.tag} is not allowed; write text, a "
            "number, true, false, null, a list or a mapping"
        )


def _check_keys(node: yaml.MappingNode, loader: Any, path: Path) -> None:
    """Raise InputError for a key that occurs twice, maybe written in two ways."""
    first: dict[Any, yaml.Node] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name = key.value if key.tag == MERGE else loader.construct_object(key)
        earlier = first.setdefault(name, key)
        if earlier is not key:
            raise InputError(
                f"{_place(key, path)}: the key {key.value!r} is already in line "
                f"{earlier.start_mark.line + 1}; remove one of them"
            )


def _place(node: yaml.Node, path: Path) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _old_meaning(text: str) -> str:
    return "a date" if DATE.match(text) else repr(yaml.safe_load(text))
