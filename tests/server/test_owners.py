"""Which processes live: who holds a lock, and no other."""

from voice_ai.server.owners import Owner


def test_who_holds_no_lock_is_not_alive(tmp_path):
    one, other = Owner(tmp_path), Owner(tmp_path)
    assert one.lives(one.name) and not one.lives(other.name)
    other.hold()
    other.hold()
    assert one.lives(other.name)
    (tmp_path / f"{other.name}.lock").unlink()
    assert not one.lives(other.name)
    other.hold()
    assert one.lives(other.name)
    other.release()
    other.release()
    assert not one.lives(other.name)


def test_what_a_dead_process_left_is_cleared_away(tmp_path):
    one, dead = Owner(tmp_path), Owner(tmp_path)
    assert one.all_living() == []
    one.hold()
    for suffix in ("lock", "sock"):
        (tmp_path / f"{dead.name}.{suffix}").touch()
        (tmp_path / f"{one.name}.{suffix}").touch()
    assert one.all_living() == [one.name]
    assert {file.name for file in tmp_path.iterdir()} == {f"{one.name}.lock", f"{one.name}.sock"}
    one.release()
