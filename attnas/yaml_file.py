"""YAML files as users write them, with errors that name file and line."""

from pathlib import Path
from typing import Any

import yaml

from attnas.core import LARGEST, InputError, parse_yaml


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: the file cannot be read or is not YAML; the message names file and line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise InputError("there is no such file.", file=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("is not a text file in UTF-8.", file=str(path)) from error
    if len(text) > LARGEST:
        raise InputError(f"has more than {LARGEST:,} characters: no config.", file=str(path))
    try:
        return parse_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{place}not valid YAML: {error.problem}.", file=str(path)) from error
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        said = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"not valid YAML: {said}.", file=str(path)) from error
