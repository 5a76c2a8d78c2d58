import pytest

from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.local.weights import folder_of, need, need_packages, verified

PACKAGE = "some_weights"


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (folder / "model.bin").write_bytes(b"abc")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_all_missing_packages_are_named_with_how_to_install_them():
    wanted = {"no_such_one": "no-such-one", "json": "json", "no_such_two": "no-such-two"}
    with pytest.raises(UsageError, match=r'no-such-one, no-such-two.*pip install "voice_ai\[local'):
        need_packages(wanted)


def test_a_missing_import_says_how_to_install_it():
    with pytest.raises(UsageError, match=r"no_such_one.*voice_ai\[local\]"):
        need("no_such_one")
    with pytest.raises(UsageError, match=r"no_such_one.*voice_ai\[local\]"):
        folder_of("no_such_one")


def test_a_missing_file_is_named(package):
    with pytest.raises(ProviderError, match=r"other\.bin.*No such file") as caught:
        verified(PACKAGE, {"other.bin": ABC}, "tts")
    assert caught.value.stage == "tts" and not caught.value.retryable


def test_other_weights_are_refused_with_both_hashes(package):
    (package / "model.bin").write_bytes(b"abd")
    with pytest.raises(
        ProviderError, match=rf"{PACKAGE}/model\.bin has SHA-256 a52d.*needed {ABC}"
    ):
        verified(PACKAGE, {"model.bin": ABC}, "stt")


def test_the_right_weights_are_found_without_importing_their_package(package):
    assert verified(PACKAGE, {"model.bin": ABC}, "stt") == package
