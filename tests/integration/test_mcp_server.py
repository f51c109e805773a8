"""`tumorlens mcp` as an assistant meets it: a real client starts the command and asks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from PIL import Image

from brains import paint_brain
from models import write_tiny_model
from tumorlens.finding import RESEARCH_USE

mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What a session was told, by question."""
    top = tmp_path_factory.mktemp("mcp")
    scans = top / "scans"
    scans.mkdir()
    for number in range(60):
        Image.fromarray(paint_brain(number % 3)).save(scans / f"{number}.png")
    Image.fromarray(paint_brain(1)).save(top / "secret.png")
    (scans / "link.png").symlink_to(top / "secret.png")
    return asyncio.run(hold_session(scans, write_tiny_model(top / "tiny.onnx")))


async def hold_session(scans, model):
    from mcp.client.stdio import StdioServerParameters, stdio_client

    words = ["-m", "tumorlens", "mcp", str(scans), "--model", str(model), "--threads", "1"]
    how = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
    told = {}
    async with (
        stdio_client(how) as (read, write),
        mcp.ClientSession(read, write) as session,
    ):
        told["hello"] = await session.initialize()
        told["tools"] = (await session.list_tools()).tools
        told["card"] = await session.call_tool("read_card", {})
        outside = ("../secret.png", str(scans.parent), "link.png")
        for path in ("3.png", ".", "absent.png", "a\0b", "x" * 5000, *outside):
            told[path] = await session.call_tool("judge", {"path": path})
    return told


def test_the_tools_say_what_they_are_for(answers):
    assert RESEARCH_USE in answers["hello"].instructions
    assert {tool.name for tool in answers["tools"]} == {"judge", "read_card"}
    assert all(tool.annotations.read_only_hint for tool in answers["tools"])


def test_a_path_is_judged_and_named_as_it_was_asked_for(answers):
    told = answers["3.png"].structured_content
    assert told["research_use"] == RESEARCH_USE
    assert [one["path"] for one in told["slices"]] == ["3.png"]
    assert told["slices"][0]["verdict"] is not None


def test_an_answer_is_no_longer_than_an_assistant_can_read(answers):
    told = answers["."].structured_content
    assert len(told["slices"]) == 50
    assert any("more slices are left out" in notice for notice in told["notices"])


def test_the_card_can_be_read(answers):
    told = answers["card"].structured_content
    assert told["card"]["classes"]
    assert told["research_use"] == RESEARCH_USE


def test_what_is_not_there_or_lies_elsewhere_is_refused_in_a_sentence(answers):
    assert answers["absent.png"].is_error
    assert "is not there" in answers["absent.png"].content[0].text
    for name in ("a\0b", "x" * 5000):
        assert answers[name].is_error
        assert f"{name[:80]}: can be no path" in answers[name].content[0].text
    for name, answer in answers.items():
        if name.startswith(("..", "/")) or name == "link.png":
            assert answer.is_error
            assert "does not lie in the folder" in answer.content[0].text


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_person_at_a_terminal_is_told_that_it_waits(tmp_path):
    keyboard, terminal = os.openpty()
    os.write(keyboard, b"\x04")  # Ctrl-D ends it
    model = write_tiny_model(tmp_path / "tiny.onnx")
    words = [sys.executable, "-m", "tumorlens", "mcp", str(tmp_path), "--model", str(model)]
    done = subprocess.run(
        words, check=False, stdin=terminal, capture_output=True, text=True, timeout=300
    )
    os.close(keyboard)
    os.close(terminal)
    assert (done.returncode, done.stdout) == (0, "")
    assert "waits for an assistant" in done.stderr
