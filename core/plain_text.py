"""YAML and JSON that somebody else may have written: read within limits, to plain values.

No honest file meets the limits. They are there so that a hostile one is answered at once
instead of exhausting time, memory or the stack.
"""

import json
from collections.abc import Hashable
from typing import Any

import yaml

LARGEST = 500_000
"""Characters of a file that people write: a config, an exported architecture."""

DEEPEST = 50
"""Mappings and lists inside each other."""

MOST_VALUES = 200_000
"""Values of a YAML text, an alias counted with all that it stands for."""

_SHORT = 50_000  # characters that the parser in Python, whose messages are better, reads at once
_MERGE = "tag:yaml.org,2002:merge"


def parse_yaml(text: str) -> Any:
    """The plain values of a YAML 1.1 text; a key that is given twice is an error.

    Raises:
        yaml.YAMLError: it is no YAML or goes beyond the limits; with the place, if known.
        ValueError: a value is impossible, such as the date 2024-13-45.
    """
    kind = yaml.SafeLoader if len(text) <= _SHORT else getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    _check_depth(text, kind)
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _Sizes(loader).of(node)
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except ValueError as error:
        raise _clearer(error) from error
    finally:
        loader.dispose()


def parse_json(text: str) -> Any:
    """The plain values of a JSON text.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise _clearer(error) from error


def _check_depth(text: str, kind: Any) -> None:
    """Refuses deep nesting before anything follows it down."""
    depth = 0
    for event in yaml.parse(text, Loader=kind):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _refused(f"it is nested deeper than {DEEPEST} levels", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Sizes:
    """Counts the values of a document with its aliases written out, and looks at its keys."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.known: dict[int, tuple[int, int]] = {}  # a node's id -> values, levels
        self.open: set[int] = set()

    def of(self, node: yaml.Node) -> tuple[int, int]:
        """Values and levels of a node."""
        if isinstance(node, yaml.ScalarNode):
            return 1, 0
        if id(node) in self.open:
            raise _refused("an alias stands inside what it stands for", node.start_mark)
        if id(node) not in self.known:
            self.open.add(id(node))
            if isinstance(node, yaml.MappingNode):
                self._check_keys(node)
                inner = [part for pair in node.value for part in pair]
            else:
                inner = node.value
            found = [self.of(part) for part in inner]
            size = 1 + sum(size for size, _ in found)
            depth = 1 + max((depth for _, depth in found), default=0)
            if size > MOST_VALUES:
                raise _refused(f"its aliases make more than {MOST_VALUES:,} values of it", None)
            if depth > DEEPEST:
                raise _refused(f"its aliases nest it deeper than {DEEPEST} levels", None)
            self.open.discard(id(node))
            self.known[id(node)] = size, depth
        return self.known[id(node)]

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue  # one that cannot be a key is refused by the loader
            key = self.loader.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise _refused(f"the key '{str(key)[:60]}' stands twice", key_node.start_mark)
            seen.add(key)


def _refused(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _clearer(error: ValueError) -> ValueError:
    """Python's advice on long numbers is not for those who write configs."""
    return ValueError("a number has too many digits") if "digits" in str(error) else error
