"""Architectures that are only named: nothing of them is built."""

import pytest
from hypothesis import settings

from attnas.search_space import Architecture, Backbone, StagePattern, stage_decisions

settings.register_profile("without deadline", deadline=None)  # other programs take their time
settings.load_profile("without deadline")

BACKBONE = Backbone(
    "b", (), (3, 8, 8), (10,), (StagePattern("one", (), ()), StagePattern("two", (), ()))
)
OPTIONS = ("none", *(f"se:r{r}@{p}" for r in (4, 8, 16) for p in ("residual", "post")))


@pytest.fixture(scope="session")
def architectures() -> list[Architecture]:
    """49 different ones, the plain backbone first."""
    decisions = stage_decisions(BACKBONE)
    return [Architecture(BACKBONE, decisions, (a, b)) for a in OPTIONS for b in OPTIONS]
