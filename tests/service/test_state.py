"""The state folder: its lock, its epochs, what it announces and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from karman_grid.errors import EnvironmentFault
from karman_grid.service.state import StateFolder, state_path


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARMAN_GRID_STATE", "/a/b")
    assert state_path() == Path("/a/b")
    monkeypatch.delenv("KARMAN_GRID_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert state_path() == Path("/x/karman-grid")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/srv/me")
    assert state_path() == Path("/srv/me/.local/state/karman-grid")


def test_epochs_only_rise_and_outlive_their_holder(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        folder = StateFolder(tmp_path / "deep" / "state")
        assert folder.next_epoch() == expected
        folder.close()
    assert json.loads((folder.path / "epoch.json").read_text()) == {"epoch": 3}
    assert (folder.path.stat().st_mode & 0o777) == 0o700


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first = StateFolder(tmp_path)
    with pytest.raises(EnvironmentFault, match="another karman-grid runs"):
        StateFolder(tmp_path)
    first.close()
    StateFolder(tmp_path).close()


def test_the_announcement_goes_with_the_holder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.announce({"pid": 1})
    assert json.loads((tmp_path / "run.json").read_text()) == {"pid": 1}
    folder.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


@pytest.mark.parametrize(
    "text",
    [
        *("{}", "{", "[]", "null", "\0", "[" * 10_000),
        *('{"epoch": true}', '{"epoch": "x"}', '{"epoch": -1}', '{"epoch": 9223372036854775807}'),
    ],
)
def test_an_unsound_epoch_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "epoch.json").write_text(text)
    folder = StateFolder(tmp_path)
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        folder.next_epoch()
    folder.close()
