"""YAML files as users write them, with errors that name file and line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from attnas.core import InputError


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but a key given twice is an error, not silently the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the base class says what is wrong with it
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key}' stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: the file cannot be read or is not YAML; the message names file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("there is no such file.", file=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("is not a text file in UTF-8.", file=str(path)) from error
    try:
        return yaml.load(text, _UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{place}not valid YAML: {error.problem}.", file=str(path)) from error
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        said = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"not valid YAML: {said}.", file=str(path)) from error
