"""Does `tumorlens watch` answer every study once, and how soon, with a real Orthanc?

    python benchmarks/pacs_loop.py [FOLDER] [--parts time,killed,down,broken] [--studies 200]
        [--kills 20] [--seed 1] [--model M]

Orthanc (Debian: orthanc, orthanc-dicomweb) runs in a network namespace of its own, as the tests do;
that takes the rights of root. Studies are one series of five painted slices each, with UIDs of
their own. Printed are, for a watch that polls Orthanc and for one that studies are sent to:

    time     seconds from the begin of C-STORE to report, segmentation and picture in Orthanc
    killed   studies come without a pause, and the watch is ended by kill -9 at random moments:
             some seconds after some number of answers, both drawn by --seed
    down     Orthanc is stopped for a minute while studies are judged, or come
    broken   among good studies is one whose pixels are cut off

Lost are studies that lack an answer in the end, doubled those that have more than one object of a
kind. FOLDER keeps queues and logs; by default they are removed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from queue import Empty, Queue

from pydicom import dcmread
from pydicom.uid import MRImageStorage
from pynetdicom import AE

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from orthancs import DICOM_PORT, Orthanc, explain_absence, own_network, start_orthanc
from watches import lay_study

WATCH_PORT = 11112
SLICES, KINDS = 5, {"SR": 1, "SEG": 1, "OT": 1}
STABLE = 1  # seconds until Orthanc calls a study stable
SOURCES = {
    "orthanc": ["--orthanc", Orthanc.url],
    "listen": ["--listen", str(WATCH_PORT), "--send-to", f"ORTHANC@127.0.0.1:{DICOM_PORT}"],
}
PORTS = {"orthanc": DICOM_PORT, "listen": WATCH_PORT}
DOWN = 60.0  # seconds
PATIENCE = 900.0  # seconds for all answers


class Watch:
    """A watch in a process of its own, which may be ended at any moment."""

    def __init__(self, folder: Path, source: str, model: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [
            *(sys.executable, "-m", "tumorlens", "watch", *SOURCES[source]),
            *("--queue", str(folder / "queue"), "--model", model),
            *("--every", "0.5", "--pause", "1", "--threads", "1"),
        ]
        self._log = folder / "watch.log"
        self._process: subprocess.Popen[str] | None = None
        self.heard: Queue[str] = Queue()
        self.told: list[str] = []

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, text=True
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.told.append(line)
            self.heard.put(line)

    def end(self, *, at_once: bool = False) -> None:
        """By SIGTERM after the study at hand, or by kill -9 at once."""
        assert self._process is not None
        self._process.kill() if at_once else self._process.terminate()
        self._process.wait(120)

    def count(self, word: str) -> int:
        return sum(f" {word}: " in line for line in self.told)

    def wait_for_answers(self, count: int, seconds: float) -> None:
        """Until the log has so many answers, or no answer has come for some seconds."""
        while self.count("sent") < count:
            try:
                self.heard.get(timeout=seconds)
            except Empty:
                return


def send(files: Sequence[Path], port: int) -> None:
    """Send a study by C-STORE, again and again until the other side has all of it."""
    while not _send_once(files, port):
        time.sleep(0.2)


def _send_once(files: Sequence[Path], port: int) -> bool:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(MRImageStorage)
    link = entity.associate("127.0.0.1", port)
    if not link.is_established:
        return False
    try:
        return all(link.send_c_store(path).get("Status") == 0 for path in files)
    except (RuntimeError, ValueError):  # the other side was killed
        return False
    finally:
        link.release()


def list_kinds(orthanc: Orthanc, study: str) -> Counter[str]:
    """Modality -> objects that Orthanc has of a study, without its images."""
    try:
        found = Counter(kind for kind, _ in orthanc.list_instances(study))
    except (StopIteration, OSError):  # nothing of it, or not just now
        return Counter()
    del found["MR"]
    return found


def wait_for(orthanc: Orthanc, studies: Sequence[str]) -> float:
    """When Orthanc had the answers to all studies, or at the end of patience."""
    end = time.monotonic() + PATIENCE
    for study in studies:
        while list_kinds(orthanc, study).total() < len(KINDS) and time.monotonic() < end:
            time.sleep(0.05)
    return time.monotonic()


@dataclass(frozen=True)
class Part:
    """One line of the table."""

    name: str
    source: str
    studies: int
    kills: int
    lost: int
    doubled: int
    failed: int
    words: str

    def show(self) -> str:
        return (
            f"{self.name:8} {self.source:8} {self.studies:7} {self.kills:5} {self.lost:5} "
            f"{self.doubled:7} {self.failed:6}  {self.words}"
        )


class Bench:
    """One Orthanc, and studies whose numbers never come twice."""

    def __init__(self, folder: Path, orthanc: Orthanc, model: str) -> None:
        self.folder, self.orthanc, self.model = folder, orthanc, model
        self._number = 0

    def lay(self, *, broken: bool = False) -> tuple[str, list[Path]]:
        self._number += 1
        files = lay_study(self.folder / f"scans/{self._number}", self._number, slices=SLICES)
        for path in files if broken else ():
            made = dcmread(path)
            made.PixelData = made.PixelData[:-3000]
            made.save_as(path)
        return f"1.2.826.0.1.99.{self._number}", files

    def open(self, source: str) -> Watch:
        """With one queue a source: a new one would judge again all that Orthanc has."""
        return Watch(self.folder / f"watch-{source}", source, self.model)

    def tell(
        self,
        name: str,
        source: str,
        studies: Sequence[str],
        watch: Watch,
        words: str,
        **counts: int,
    ) -> Part:
        found = [list_kinds(self.orthanc, study) for study in studies]
        lost = sum(any(one[kind] < 1 for kind in KINDS) for one in found)
        doubled = sum(
            any(count > KINDS.get(kind, 0) for kind, count in one.items()) for one in found
        )
        return Part(
            name, source, len(studies), counts.get("kills", 0), lost, doubled,
            watch.count("failed"), words,
        )  # fmt: skip

    def measure_time(self, source: str, count: int = 9) -> Part:
        watch = self.open(source)
        watch.start()
        send(self.lay()[1], PORTS[source])  # the first one waits for the start of the watch
        watch.wait_for_answers(1, PATIENCE)
        studies, seconds = [], []
        for _ in range(count):
            study, files = self.lay()
            began = time.monotonic()
            send(files, PORTS[source])
            seconds.append(wait_for(self.orthanc, [study]) - began)
            studies.append(study)
        watch.end()
        middle, most = statistics.median(seconds), max(seconds)
        judged = [line.partition("judged in ")[2].split(" s")[0] for line in watch.told]
        words = f"median {middle:.1f} s, longest {most:.1f} s; judging and writing "
        return self.tell(
            "time", source, studies, watch, f"{words}{statistics.median(map(float, judged)):.1f} s"
        )

    def kill(self, source: str, count: int, kills: int, chance: random.Random) -> Part:
        watch = self.open(source)
        laid = [self.lay() for _ in range(count)]
        began = time.monotonic()
        sender = threading.Thread(
            target=lambda: [send(files, PORTS[source]) for _, files in laid], daemon=True
        )
        watch.start()
        sender.start()
        for answers in sorted(chance.sample(range(count - kills), kills)):
            watch.wait_for_answers(answers, 30)  # an answer may be there without its line
            time.sleep(chance.uniform(0, 6))
            watch.end(at_once=True)
            watch.start()
        sender.join(PATIENCE)
        studies = [study for study, _ in laid]
        took = wait_for(self.orthanc, studies) - began
        time.sleep(2 * STABLE + 3)  # for an answer that comes twice
        watch.end()
        return self.tell("killed", source, studies, watch, f"{took:.0f} s in all", kills=kills)

    def go_down(self, source: str, count: int = 10) -> Part:
        """Orthanc stops when the first answer is there (orthanc), or before the studies come."""
        laid = [self.lay() for _ in range(count)]
        watch = self.open(source)
        watch.start()
        if source == "listen":
            self.orthanc.stop()
        for _, files in laid:
            send(files, PORTS[source])
        if source == "orthanc":
            wait_for(self.orthanc, [laid[0][0]])
            self.orthanc.stop()
        time.sleep(DOWN)
        self.orthanc.start()
        back = time.monotonic()
        studies = [study for study, _ in laid]
        took = wait_for(self.orthanc, studies) - back
        watch.end()
        return self.tell(
            "down",
            source,
            studies,
            watch,
            f"last answer {took:.0f} s after {DOWN:.0f} s of absence",
        )

    def break_one(self, source: str, good: int = 10) -> Part:
        laid = [self.lay(broken=number == good // 2) for number in range(good + 1)]
        watch = self.open(source)
        watch.start()
        for _, files in laid:
            send(files, PORTS[source])
        studies = [study for number, (study, _) in enumerate(laid) if number != good // 2]
        wait_for(self.orthanc, studies)
        time.sleep(2 * STABLE + 3)  # the broken one may be the last
        watch.end()
        reasons = [
            line.partition("failed: ")[2].partition(";")[0].strip()
            for line in watch.told
            if "failed" in line
        ]
        return self.tell("broken", source, studies, watch, reasons[0] if reasons else "not told")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--parts", default="time,killed,down,broken")
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    absence = explain_absence()
    if absence:
        parser.error(absence)
    with tempfile.TemporaryDirectory() as place:
        folder = options.folder or Path(place)
        with own_network(), start_orthanc(folder / "orthanc", StableAge=STABLE) as orthanc:
            bench, chance = Bench(folder, orthanc, options.model), random.Random(options.seed)
            print("part     source   studies kills  lost doubled failed")
            for name, source in product(options.parts.split(","), SOURCES):
                share = 4 if source == "listen" else 1  # the longest part, once in full
                many = options.studies // share, options.kills // share
                measure = {
                    "time": bench.measure_time,
                    "killed": partial(bench.kill, count=many[0], kills=many[1], chance=chance),
                    "down": bench.go_down,
                    "broken": bench.break_one,
                }[name]
                print(measure(source).show(), flush=True)


if __name__ == "__main__":
    main()
