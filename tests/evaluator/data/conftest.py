import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keeps the tests out of the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ATTNAS_CACHE", str(folder))
    return folder
