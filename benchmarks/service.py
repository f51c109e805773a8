"""How fast is `tumorlens serve`, does its memory stay flat, and what do hostile bodies do to it?

    python benchmarks/service.py [--threads 2] [--requests 400] [--clients 8] [--many 10000]
        [--hostile 500] [--only speed|memory|hostile]

The service runs as a process of its own, on a free port of this machine, and is asked over
connections that stay open. Beside it, in turns, bare `Detector` judges the same file as often, in
the same number of threads. Ratios are taken round by round, so that a busy machine slows both; the
second ratio compares processor time, which a busy machine changes less. The clients share the
processor with the service and are counted in the first ratio, not in the second.

Memory is the resident set of the service. Hostile bodies are those of its tests, by their numbers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import local

from PIL import Image

from tumorlens.detector import Detector
from tumorlens.workers import available_cores

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT / "tests")  # in place of this folder, for its names are those of rooms

EXAMPLE = ROOT / "examples" / "t1c_axial_synthetic_lesion"
TICK = os.sysconf("SC_CLK_TCK")
BROKEN = r"\w*(Error|Exception): "
"""How a job says that it met an error that nobody foresaw."""


@dataclass(frozen=True)
class Service:
    """A service that runs.

    Attributes:
        process: of it.
        port: on this machine.
        log: everything that it printed.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def processor_seconds(self) -> float:
        """Since it began."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_mib(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextmanager
def open_service(*words: str) -> Iterator[Service]:
    """`tumorlens serve` as a process, ended at the end."""
    with tempfile.TemporaryDirectory() as place:
        log = Path(place, "log")
        line = [sys.executable, "-m", "tumorlens", "serve", "--port", "0", *words]
        with log.open("wb") as stream:
            process = subprocess.Popen(line, stdout=stream, stderr=stream)
            try:
                yield Service(process, wait_for_port(process, log), log)
            finally:
                process.terminate()
                process.wait(20)


def wait_for_port(process: subprocess.Popen[bytes], log: Path) -> int:
    while process.poll() is None:
        first, newline, _ = log.read_text().partition("\n")
        if newline:
            return int(first.rpartition(":")[2])
        time.sleep(0.05)
    raise SystemExit(log.read_text())


class Client:
    """Asks a service; each thread over its own connection, which stays open."""

    def __init__(self, service: Service) -> None:
        self.service, self.kept = service, local()

    def ask(self, method: str, path: str, body: bytes, kind: str | None) -> tuple[int, bytes]:
        headers = {} if kind is None else {"content-type": kind}
        for _ in range(2):  # a service may close a connection after a refusal
            if not hasattr(self.kept, "connection"):
                self.kept.connection = http.client.HTTPConnection("127.0.0.1", self.service.port)
            try:
                self.kept.connection.request(method, path, body, headers)
                answer = self.kept.connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, OSError):
                del self.kept.connection
        raise SystemExit(f"the service does not answer {path}")

    def judge(self, body: bytes, kind: str) -> float:
        """Seconds until the verdict of one slice has come."""
        begin = time.perf_counter()
        status, answer = self.ask("POST", "/predict", body, kind)
        assert status == 200, answer
        return time.perf_counter() - begin


def measure_speed(load: Load) -> None:
    with tempfile.TemporaryDirectory() as place:
        picture = Path(place, "slice.jpg")
        with Image.open(EXAMPLE.with_suffix(".png")) as opened:
            grey = opened.convert("L")
        grey.resize((512, 512), Image.Resampling.BICUBIC).save(picture, quality=90)
        print(
            f"one slice a request, {load.threads} threads, {load.clients} clients, "
            f"{load.rounds} rounds of {load.requests} requests"
        )
        with open_service("--threads", str(load.threads)) as service:
            for path, kind in ((EXAMPLE.with_suffix(".dcm"), "application/dicom"),
                               (picture, "image/jpeg")):  # fmt: skip
                compare(service, path, kind, load)


@dataclass(frozen=True)
class Load:
    """What is asked of both sides."""

    threads: int
    requests: int
    clients: int
    rounds: int


def compare(service: Service, path: Path, kind: str, load: Load) -> None:
    """The service and bare `Detector` in turns, on one file."""
    requests, clients, threads = load.requests, load.clients, load.threads
    detector, client, body = Detector(threads=1), Client(service), path.read_bytes()
    with ThreadPoolExecutor(clients) as asking, ThreadPoolExecutor(threads) as judging:

        def ask() -> list[float]:
            return list(asking.map(lambda _: client.judge(body, kind), range(requests)))

        def judge() -> list[None]:
            def one(_: int) -> None:
                list(detector.predict(str(path)))

            return list(judging.map(one, range(requests)))

        ask(), judge()
        bare, served, waits = [], [], []
        for _ in range(load.rounds):
            bare.append(clock(judge, time.process_time)[:2])
            wall, processor, told = clock(ask, service.processor_seconds)
            served.append((wall, processor))
            waits += told
        alone = [client.judge(body, kind) for _ in range(100)]
    tell_speed(path.name, requests, bare, served)
    print(f"  one client, median            {statistics.median(alone) * 1e3:7.1f} ms")
    print(f"  {clients} clients, 95th percentile     {find_p95(waits) * 1e3:7.1f} ms")


def tell_speed(
    name: str, requests: int, bare: list[tuple[float, float]], served: list[tuple[float, float]]
) -> None:
    walls, processors = (
        statistics.median(one[part] / other[part] for one, other in zip(bare, served, strict=True))
        for part in (0, 1)
    )
    own, others = (statistics.median(one[1] for one in side) for side in (served, bare))
    print(name)
    print(f"  bare Detector                 {requests / min(bare)[0]:7.1f} slices/s")
    print(f"  tumorlens serve               {requests / min(served)[0]:7.1f} requests/s")
    print(f"  ratio, median of the rounds   {walls:7.2f}")
    print(f"  the same by processor time    {processors:7.2f}")
    print(f"  processor time a slice        {others / requests * 1e3:7.2f} ms bare")
    print(f"                                {own / requests * 1e3:7.2f} ms served")


def clock(work: Callable[[], object], processor: Callable[[], float]) -> tuple[float, float, list]:
    """Seconds of the clock, seconds of a processor, and what came of it."""
    begin, spent = time.perf_counter(), processor()
    result = work()
    return time.perf_counter() - begin, processor() - spent, result


def find_p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def measure_memory(threads: int, many: int, clients: int) -> None:
    """The resident set while one slice after another is judged."""
    body = EXAMPLE.with_suffix(".dcm").read_bytes()
    with open_service("--threads", str(threads)) as service:
        client, begin = Client(service), time.perf_counter()
        print(f"memory over {many:,} requests of {clients} clients")
        with ThreadPoolExecutor(clients) as asking:
            steps = (max(1, many // 50), many // 4, many // 2, many * 3 // 4, many)
            done = 0
            for step in steps:
                asked = range(step - done)
                done += len(
                    list(asking.map(lambda _: client.judge(body, "application/dicom"), asked))
                )
                print(f"  after {done:7,} requests        {service.resident_mib():7.1f} MiB")
        print(f"  in {time.perf_counter() - begin:.0f} s")


def measure_hostile(count: int) -> None:
    """Every body is refused in a sentence, and nothing of it stands in the log."""
    from integration.service.hostile import SECRET, make_hostile

    words = (
        "--max-mib",
        "4",
        "--max-files",
        "60",
        "--memory-mib",
        "64",
        "--max-results",
        str(count),
    )
    with open_service(*words) as service:
        client, seen, wrong, jobs = Client(service), Counter[int](), [], []
        for number in range(count):
            hostile = make_hostile(number)
            status, answer = client.ask("POST", hostile.path, hostile.body, hostile.kind)
            seen[status] += 1
            if status >= 500 or b"Traceback" in answer:
                wrong.append(hostile.words)
            if status == 202:
                jobs.append(json.loads(answer)["id"])
        ends = [wait_for_job(client, job) for job in jobs]
        log = service.log.read_text()
        broken = [
            one["error"] for one in ends if re.match(r"\w*(Error|Exception): ", one["error"] or "")
        ]
        print(f"{count} hostile bodies: answers {dict(sorted(seen.items()))}")
        print(f"  jobs of those with 202        {dict(Counter(one['state'] for one in ends))}")
        print(f"  a 500 or a traceback          {len(wrong):7}  {wrong[:5]}")
        print(f"  a job that broke              {len(broken):7}  {broken[:5]}")
        print(f"  traceback in the log          {log.count('Traceback'):7}")
        print(f"  the name of the patient in it {log.count(SECRET):7}")
        print(f"  memory at the end             {service.resident_mib():7.1f} MiB")


def wait_for_job(client: Client, job: str) -> dict[str, str]:
    """What the service says of a job that has ended."""
    while True:
        told: dict[str, str] = json.loads(client.ask("GET", f"/jobs/{job}", b"", None)[1])
        if told["state"] not in ("waiting", "judging"):
            return told
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=min(2, available_cores()))
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--hostile", type=int, default=500)
    parser.add_argument("--only", choices=("speed", "memory", "hostile"))
    options = parser.parse_args()
    if options.only in (None, "speed"):
        measure_speed(Load(options.threads, options.requests, options.clients, options.rounds))
    if options.only in (None, "memory"):
        measure_memory(options.threads, options.many, options.clients)
    if options.only in (None, "hostile"):
        measure_hostile(options.hostile)


if __name__ == "__main__":
    main()
