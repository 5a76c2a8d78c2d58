"""The documents list what is there."""

import re
from pathlib import Path

import pytest

from voice_ai.server.settings import Settings

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "voice_ai"
SECTION = re.compile(r"^## `(src[^`]*)/`\n(.*?)(?=\n## |\Z)", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.skipif(not PACKAGE.is_dir(), reason="only beside the source")


def test_the_code_guide_has_a_line_for_every_file() -> None:
    guide = (ROOT / "docs" / "CODE_GUIDE.md").read_text()
    files = [p for p in PACKAGE.rglob("*.py") if p.read_text().strip()]
    sections = dict(SECTION.findall(guide))
    missing = [
        str(p.relative_to(ROOT))
        for p in files
        if f"`{p.name}`" not in sections.get(str(p.parent.relative_to(ROOT)), "")
    ]
    assert files
    assert missing == []


def test_the_code_guide_names_no_file_that_is_gone() -> None:
    guide = (ROOT / "docs" / "CODE_GUIDE.md").read_text()
    for folder, lines in SECTION.findall(guide):
        named = re.findall(r"`([\w.]+\.(?:css|html|js|py|pyi|svg|toml))`", lines)
        assert named, folder
        assert [n for n in named if not (ROOT / folder / n).exists()] == []


def test_the_readme_names_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in readme] == []


def test_every_scenario_has_the_tests_that_it_names() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "SCENARIOS.md").read_text())
    files = (ROOT / "tests").rglob("test_*.py")
    there = {name for p in files for name in re.findall(r"def (test_\w+)", p.read_text())}
    assert len(named) > 60
    assert sorted(set(named) - there) == []
