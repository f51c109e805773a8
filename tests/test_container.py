"""The files of the container name what is there: paths, extras, verbs, options and a route."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tumorlens.cli.main import app
from tumorlens.integration.service.entrance import OPEN_TO_ALL

ROOT = Path(__file__).resolve().parent.parent
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINES = CONTAINERFILE.replace("\\\n", " ").splitlines()


def list_instructions(name):
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{name} ")]


def list_copied():
    """Files and folders of the repository that come into the image."""
    given = [one for one in list_instructions("COPY") if not one.startswith("--from")]
    return {word for line in given for word in line.split()[:-1]}


def parse(words):
    """What a verb is told; raises if it knows no such option."""
    verb, *rest = words
    command = app.get_command(None, verb)
    return command.make_context(verb, list(rest))


def test_what_is_copied_is_there_and_enough_for_the_wheel():
    copied = list_copied()
    for name in copied:
        assert (ROOT / name).exists(), name
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*wheel["packages"], *wheel["force-include"], PROJECT["project"]["readme"]]
    for name in (*needed, *PROJECT["project"]["license-files"], "pyproject.toml"):
        assert name.split("/")[0] in copied, name


def test_what_is_copied_is_not_ignored_and_nothing_else_is_let_in():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == list_copied()


def test_the_service_starts_as_the_image_says():
    (entry,), (words,) = list_instructions("ENTRYPOINT"), list_instructions("CMD")
    assert json.loads(entry) == ["tumorlens"]
    assert parse(json.loads(words)).params["host"] == "0.0.0.0"
    (port,) = list_instructions("EXPOSE")
    assert parse(json.loads(words)).params["port"] == int(port)
    assert set(re.search(r"ARG EXTRAS=(\S+)", CONTAINERFILE)[1].split(",")) <= set(
        PROJECT["project"]["optional-dependencies"]
    )


def test_the_health_check_asks_a_route_that_needs_no_token():
    (check,) = list_instructions("HEALTHCHECK")
    assert re.search(r"http://127\.0\.0\.1:8000(/[\w/]+)", check)[1] in OPEN_TO_ALL


def test_it_runs_as_a_user_without_rights():
    user, group = list_instructions("USER")[-1].split(":")
    assert int(user) == int(group) != 0


def test_compose_names_verbs_and_options_that_are_there():
    compose = pytest.importorskip("yaml").safe_load(
        (ROOT / "compose.yaml").read_text(encoding="utf-8")
    )
    ours = {name: one for name, one in compose["services"].items() if one["image"] == "tumorlens"}
    assert set(ours) == {"serve", "watch"}
    for one in ours.values():
        parse(re.sub(r"\$\{.*?\}", "secret", word) for word in one["command"])
        assert one["read_only"]
        assert (ROOT / one["build"]["dockerfile"]).exists()
        assert set(one["build"]["args"]["EXTRAS"].split(",")) <= set(
            PROJECT["project"]["optional-dependencies"]
        )
    for one in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ()))


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing():
    words = ["hadolint", "Containerfile"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed")
def test_the_image_is_built_and_its_command_runs(tmp_path):
    """TUMORLENS_BASE names a base image that is here, where no registry can be reached."""
    base = os.environ.get("TUMORLENS_BASE")
    if base is None:
        pytest.skip("TUMORLENS_BASE names no base image")
    words = ["--isolation", "chroot", "--format", "docker", "--build-arg", f"PYTHON={base}"]
    image = "localhost/tumorlens-test"
    subprocess.run(["buildah", "build", *words, "--tag", image, ROOT], check=True)
    made = subprocess.run(["buildah", "from", image], capture_output=True, text=True, check=True)
    container = made.stdout.strip()
    run = ["buildah", "run", "--isolation", "chroot", container, "tumorlens", "info"]
    try:
        told = subprocess.run(run, capture_output=True, text=True, check=True)
        assert "serve" in told.stdout
    finally:
        subprocess.run(["buildah", "rm", container], check=True)
        subprocess.run(["buildah", "rmi", image], check=True)
