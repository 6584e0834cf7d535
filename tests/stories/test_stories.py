"""Every story, and the README, come out as they are told. DBOPS_UPDATE=1 rewrites what they tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stories.story import ROOT, UPDATE, commands, is_as_told, rewritten, run, settled

STORIES = [ROOT / "README.md", *sorted(Path(__file__).parent.glob("*.md"))]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_a_story_comes_out_as_told(story: Path, tmp_path: Path) -> None:
    folder = tmp_path / "story"
    folder.mkdir()
    answers = list(run(story, folder))
    assert answers, "a story without commands"
    if os.environ.get(UPDATE):
        story.write_text(rewritten(story, answers, folder), encoding="utf-8")
        return
    for command, answer in answers:
        if not is_as_told(command, answer, folder):
            assert settled(answer.output, folder) == settled(command.output, folder), f"{story}:{command.line}: $ {command.shell}"
            assert answer.exit_code == command.exit_code, f"{story}:{command.line}: $ {command.shell}"
            raise AssertionError(f"{story}:{command.line}: the lines around '...' differ")


def test_commands_are_read_with_continuations_output_and_exit_code() -> None:
    text = "Prose.\n\n```console\n$ cat <<END\n> a\n> END\na\n$ false\n[1]\n```\n"
    first, second = commands(text)
    assert (first.shell, first.output, first.exit_code, first.line) == ("cat <<END\na\nEND\n", "a\n", 0, 4)
    assert (second.shell, second.output, second.exit_code) == ("false\n", "", 1)
