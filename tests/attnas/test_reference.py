from pathlib import Path

import yaml

from attnas.config import parse_config
from attnas.reference import commented_config, markdown_reference

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_config_reference_is_current():
    assert (DOCS / "config.md").read_text() == markdown_reference(), "`make docs` rewrites it"


def test_the_commented_config_is_valid_and_comments_every_key():
    text = commented_config()
    parse_config(yaml.safe_load(text))
    assert all("#" in line for line in text.splitlines() if not line.startswith("    depth"))
