"""``tumorlens watch --folder``: studies that are laid into a folder, and what is cut off."""

from __future__ import annotations

import re
import shutil
import sys
import time
from contextlib import closing, suppress

import pydicom
import pytest

import tumorlens
from builders import write_picture
from heads import paint_slice
from limits_of_disk import small_files
from study_tables import write_study_model
from tumorlens.cli.main import run
from tumorlens.errors import MissingExtra, UsageError
from tumorlens.integration.dicom.object_options import OBJECTS
from tumorlens.integration.pacs import answering, folder_boxes
from tumorlens.integration.pacs.image_headers import SeriesFilter
from tumorlens.integration.pacs.keeping_watch import keep_watch
from tumorlens.integration.pacs.study_queue import StudyQueue
from tumorlens.integration.pacs.watch_plan import WatchPlan, open_watch
from watches import NAME, lay_study

pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return tumorlens.Detector(write_study_model(tmp_path_factory.mktemp("model")), threads=1)


@pytest.fixture
def log():
    return []


@pytest.fixture
def watch(detector, tmp_path, log):
    """Run a watch over ``in`` until nothing is left to do; what it says lands in the log."""
    (tmp_path / "in").mkdir()

    def watch(queue="queue", **options):
        plan = WatchPlan(
            **{
                "folder": (tmp_path / "in", tmp_path / "out"),
                "queue": tmp_path / queue,
                "pause": 0.0,
                "every": 0.1,
                "objects": ("sr",),
                **options,
            }
        )
        with open_watch(plan, detector, log=log.append, notice=log.append) as made:
            return made.run(once=True)

    return watch


def list_answers(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.dcm"))


def test_each_study_gets_its_objects_once(watch, tmp_path, log):
    lay_study(tmp_path / "in/a", 1)
    lay_study(tmp_path / "in/b/deeper", 2)
    assert watch(objects=OBJECTS)
    answers = list_answers(tmp_path / "out")
    assert sorted(re.sub(r"2\.25\.\d+", "UID", name) for name in answers) == [
        f"1.2.826.0.1.99.{number}/UID.{kind}.dcm"
        for number in (1, 2)
        for kind in ("sc", "seg", "sr")
    ]
    dates = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in answers}
    assert len(log) == 2
    assert watch()  # once more: nothing is judged or written again
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in answers} == dates
    assert len(log) == 2


def test_answers_belong_to_the_study_and_say_for_research_only(watch, tmp_path):
    lay_study(tmp_path / "in", 7)
    watch(objects=OBJECTS)
    for name in list_answers(tmp_path / "out"):
        made = pydicom.dcmread(tmp_path / "out" / name)
        assert made.StudyInstanceUID == "1.2.826.0.1.99.7"
        assert made.SOPInstanceUID == name.split("/")[1].rsplit(".", 2)[0]
        assert "research" in str(made).lower()


def test_the_log_names_no_patient(watch, tmp_path, log):
    lay_study(tmp_path / "in" / NAME, 1)
    watch()
    assert re.fullmatch(
        r"study [0-9a-f]{12} sent: \w+ [<>]?\d{1,3}\.\d %, judged in [\d.]+ s, 1 object, "
        r"[\d.]+ s after arrival",
        log[0],
    )


def test_another_queue_makes_the_same_objects(watch, tmp_path):
    lay_study(tmp_path / "in", 1)
    watch(objects=OBJECTS)
    before = list_answers(tmp_path / "out")
    inner = sorted(_list_uids(tmp_path / "out"))
    shutil.rmtree(tmp_path / "out")
    watch(queue="another", objects=OBJECTS)
    assert list_answers(tmp_path / "out") == before
    assert sorted(_list_uids(tmp_path / "out")) == inner


def _list_uids(folder):
    """All UIDs under 2.25 that objects hold, those of regions and references too."""
    for name in list_answers(folder):
        yield from re.findall(r"2\.25\.\d+", str(pydicom.dcmread(folder / name)))


def test_its_own_answers_are_not_judged(watch, tmp_path, log):
    lay_study(tmp_path / "in/a", 1)
    out = tmp_path / "in" / "answers"
    assert watch(folder=(tmp_path / "in", out))
    answers = list_answers(out)
    assert watch(folder=(tmp_path / "in", out))
    assert list_answers(out) == answers
    assert len(log) == 1


def test_a_study_that_grows_is_judged_again(watch, tmp_path, log):
    lay_study(tmp_path / "in/a", 1)
    watch()
    lay_study(tmp_path / "in/b", 1, SeriesInstanceUID="1.2.826.0.1.99.1.5")
    watch()
    assert len(log) == 2
    assert len(list_answers(tmp_path / "out")) == 2


def test_files_of_one_instance_uid_are_judged_each_and_copies_once(tmp_path):
    """Some anonymisers give one UID to all images."""
    paths = lay_study(tmp_path / "in/a", 1, SOPInstanceUID="1.2.826.0.1.99.7")
    assert len({path.read_bytes() for path in paths}) == 5
    (tmp_path / "in/b").mkdir()
    shutil.copy(paths[0], tmp_path / "in/b")
    inbox = folder_boxes.FolderInbox(tmp_path / "in", SeriesFilter(), pause=0.0)
    with closing(StudyQueue(tmp_path / "queue.sqlite")) as queue:
        inbox.look(queue)
        study = queue.take_next(time.time())
    (tmp_path / "taken").mkdir()
    assert inbox.fetch(study, tmp_path / "taken")
    taken = {path.read_bytes() for path in (tmp_path / "taken").iterdir()}
    assert study.images == 5 and taken == {path.read_bytes() for path in paths}


def test_a_study_that_is_still_copied_waits(watch, tmp_path, log):
    lay_study(tmp_path / "in", 1)
    begin = time.monotonic()
    assert watch(pause=1.5)
    assert time.monotonic() - begin > 1.0
    assert len(log) == 1


def test_a_broken_study_does_not_hold_up_the_others(watch, tmp_path, log):
    lay_study(tmp_path / "in/a", 1)
    for path in lay_study(tmp_path / "in/b", 2):
        path.write_bytes(path.read_bytes()[:-3000])  # its pixels are cut off
    lay_study(tmp_path / "in/c", 3)
    assert not watch()
    failed = [line for line in log if "failed" in line]
    assert len(failed) == 1
    assert "no image of it can be read" in failed[0]
    assert len(list_answers(tmp_path / "out")) == 2


def test_files_that_are_no_dicom_are_counted(watch, tmp_path, log):
    lay_study(tmp_path / "in", 1)
    write_picture(tmp_path / "in" / f"{NAME}.png", paint_slice().astype("uint8"))
    assert watch()
    assert "1 file is no DICOM that can be read" in log[0]
    assert NAME not in " ".join(log)


@pytest.mark.parametrize(
    ("wanted", "judged"),
    [
        (SeriesFilter(), [1]),
        (SeriesFilter(modalities=()), [1, 2]),
        (SeriesFilter(modalities=("CT",)), [2]),
        (SeriesFilter(descriptions=("*CONTRAST*",)), [1]),
        (SeriesFilter(descriptions=("*knee*",)), []),
        (SeriesFilter(body_parts=("HEAD",)), [1]),
    ],
)
def test_filters_choose_series(watch, tmp_path, wanted, judged):
    lay_study(tmp_path / "in/a", 1, BodyPartExamined="HEAD")
    lay_study(tmp_path / "in/b", 2, Modality="CT")
    watch(wanted=wanted)
    there = {name.split("/")[0] for name in list_answers(tmp_path / "out")}
    assert there == {f"1.2.826.0.1.99.{number}" for number in judged}


class Killed(BaseException):
    """In place of kill -9: no code of the watch may catch it."""


@pytest.mark.parametrize("moment", ["answer", "spooled", "sending", "sent"])
def test_a_watch_that_is_killed_loses_and_doubles_nothing(
    watch, tmp_path, log, monkeypatch, moment
):
    lay_study(tmp_path / "in/a", 1)
    lay_study(tmp_path / "in/b", 2)
    places = {
        "answer": (answering.Answerer, "answer", True),
        "spooled": (answering.Answerer, "answer", False),
        "sending": (folder_boxes, "save_whole", True),
        "sent": (folder_boxes, "save_whole", False),
    }
    owner, name, before = places[moment]
    real, calls = getattr(owner, name), []

    def cut_off(*arguments, **options):
        calls.append(name)
        if len(calls) == 2 and before:
            raise Killed
        done = real(*arguments, **options)
        if len(calls) == 2:
            raise Killed
        return done

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, cut_off)
        with suppress(Killed):
            watch(objects=("sr", "seg"))
    assert len(calls) == 2
    assert watch(objects=("sr", "seg"))
    assert len(list_answers(tmp_path / "out")) == 4
    assert len([line for line in log if " sent: " in line]) == 2
    assert list((tmp_path / "queue/studies").iterdir()) == []


def test_answers_wait_for_a_place_that_cannot_be_written(watch, tmp_path, log):
    lay_study(tmp_path / "in", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/1.2.826.0.1.99.1").write_text("a file in the way")
    assert not watch()
    assert "waits 2 s" in log[0]
    (tmp_path / "out/1.2.826.0.1.99.1").unlink()
    time.sleep(2.1)
    assert watch()
    assert len(list_answers(tmp_path / "out")) == 1


def test_a_study_that_was_removed_is_left_out(watch, tmp_path, log, monkeypatch):
    files = lay_study(tmp_path / "in", 1)
    real = folder_boxes.FolderInbox.fetch

    def fetch(*arguments):
        for path in files:
            path.unlink(missing_ok=True)
        return real(*arguments)

    monkeypatch.setattr(folder_boxes.FolderInbox, "fetch", fetch)
    assert watch()
    assert "left out" in log[0]


def test_the_command_writes_lines_metrics_and_answers(tmp_path, detector, capsys):
    lay_study(tmp_path / "in", 1)
    command = ["watch", "--folder", str(tmp_path / "in"), str(tmp_path / "out"), "--once"]
    command += ["--model", str(detector.session.path), "--queue", str(tmp_path / "queue")]
    command += ["--pause", "0", "--metrics", str(tmp_path / "watch.prom")]
    assert run(command) == 0
    told = capsys.readouterr()
    assert re.match(r"\d{4}-\d\d-\d\dT\S+ study [0-9a-f]{12} sent: ", told.out)
    assert "the queue is" in told.err
    numbers = (tmp_path / "watch.prom").read_text(encoding="utf-8")
    assert 'tumorlens_watch_studies{state="sent"} 1\n' in numbers
    assert "tumorlens_watch_objects_sent_total 3\n" in numbers


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "name one source: --folder IN OUT, --orthanc URL or --listen PORT"),
        (["--folder", "in", "out", "--listen", "0"], "name one source"),
        (["--listen", "0"], "--listen needs --send-to AET@HOST:PORT"),
        (["--listen", "0", "--send-to", "nowhere"], "expected AET@HOST:PORT"),
        (["--folder", "nothing", "out"], "nothing: is no folder"),
        (["--orthanc", "localhost:8042"], "--orthanc is a URL"),
        (["--folder", "in", "out", "--objects", "rt"], "--objects are some of sr, seg, sc"),
        (["--folder", "in", "out", "--modality", ""], "--modality names none"),
        (["--folder", "in", "out", "--description", ""], "--description holds an empty word"),
        (["--folder", "in", "out", "--body-part", "HEAD,"], "--body-part holds an empty word"),
    ],
)
def test_what_contradicts_itself_is_refused(
    options, words, detector, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    model = ["--model", str(detector.session.path), "--queue", "queue"]
    assert run(["watch", *model, *options]) == 2
    assert words in capsys.readouterr().err


def test_two_watches_on_one_queue_are_refused(watch, tmp_path, detector):
    plan = WatchPlan(folder=(tmp_path / "in", tmp_path / "out"), queue=tmp_path / "queue")
    with (
        open_watch(plan, detector),
        pytest.raises(UsageError, match="another tumorlens watch"),
        open_watch(plan, detector),
    ):
        pass


def test_python_gives_watch(tmp_path, detector):
    lay_study(tmp_path / "in", 1)
    options = {"folder": (tmp_path / "in", tmp_path / "out"), "queue": tmp_path / "queue"}
    options |= {"pause": 0, "once": True, "objects": ["sr"], "modalities": ["mr"]}
    log, notice = [], []
    assert tumorlens.watch(**options, model=detector, log=log.append, notice=notice.append)
    assert len(list_answers(tmp_path / "out")) == 1
    assert " sent: " in log[0]
    assert "the queue is" in notice[0]


@pytest.mark.parametrize(
    ("module", "extra", "source"),
    [
        ("highdicom", "dicom", {"folder": ("in", "out")}),
        ("dicomweb_client", "pacs", {"orthanc": "http://127.0.0.1:8042"}),
        ("pynetdicom", "pacs", {"listen": 0, "send_to": "NODE@127.0.0.1:104"}),
    ],
)
def test_a_missing_extra_is_told_before_anything_is_opened(monkeypatch, module, extra, source):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"needs the library '{module}'.*\[{extra}\]"):
        tumorlens.watch(**source)


def test_a_full_disk_lets_studies_wait(watch, tmp_path, log):
    lay_study(tmp_path / "in", 1)
    with small_files(150_000):  # less than a picture needs
        assert not watch(objects=("sc",))
    assert log[0].endswith("waits 2 s: the disk fails (File too large)")
    assert list((tmp_path / "queue").rglob("*.partial")) == []  # the queue needs the room
    time.sleep(2.1)
    assert watch(objects=("sc",))
    assert len(list_answers(tmp_path / "out")) == 1


def test_numbers_that_cannot_be_written_end_no_watch(detector, tmp_path, log):
    lay_study(tmp_path / "in", 1)
    (tmp_path / "numbers").mkdir()
    plan = WatchPlan(
        folder=(tmp_path / "in", tmp_path / "out"), queue=tmp_path / "queue", pause=0.0,
        every=0.1, objects=("sr",), metrics=tmp_path / "numbers/watch.prom",
    )  # fmt: skip
    (tmp_path / "numbers").rmdir()
    assert keep_watch(plan, detector, once=True, log=log.append, notice=log.append)
    assert len(list_answers(tmp_path / "out")) == 1
    assert len([line for line in log if "goes on without these numbers" in line]) == 1
