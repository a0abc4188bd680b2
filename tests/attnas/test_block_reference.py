from pathlib import Path

from attnas.block_reference import markdown_blocks
from attnas.search_space import BLOCKS

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_page_of_blocks_is_current_and_has_all():
    text = (DOCS / "blocks.md").read_text(encoding="utf-8")
    assert text == markdown_blocks(), "`make docs` rewrites it"
    for name, found in BLOCKS.items():
        assert f"| `{name}` | {found.family} |" in text
        assert f"`{name}`" in text.partition("## Channel")[2]
