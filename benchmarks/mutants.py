"""Damage sound files of every format, read them, and count the outcomes.

    python benchmarks/mutants.py [--count 100000] [--workers 2] [--output results.json]
    python benchmarks/mutants.py --show 4711          # one again, here, with its traceback
    python benchmarks/mutants.py --write 4711 FOLDER  # its files

A mutant is built from its number alone (and ``--start``, which begins all chance). Some are read by
the readers, some by `Detector`, some by the whole command. It counts as ``read`` or ``refused``
if it gives slices, a table or a `TumorlensError`. Everything else is a failure: a ``traceback``; a
``warning`` or ``words`` of a library that reach the user; what is ``unsound`` (NaN, a file written
elsewhere); a ``hang``, over 20 s; ``memory``, more than `Limits` allow; a ``crash`` of the process.
A worker is a process of its own, so that a crash or a hang costs one mutant.

With --output, each report becomes a line of ``results.json.lines`` at once. If the run is
interrupted, the same command continues from there. On a busy machine a mutant may have to wait:
give ``--patience 300``, and read those that took over 20 s again, alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

SECONDS = 20.0
GOOD = ("read", "refused")
_CEILING = 12 * 2**30  # bytes of address space over what a worker has: spares the machine, no more
_SERVED = 10_000  # mutants of one worker, then another takes its place
_FRAMES = 30  # lines of a traceback that are kept


class Bench:
    """A folder in memory, if there is one, and the measures of this process."""

    def __init__(self, words: IO[bytes]) -> None:
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-", dir=place))
        self._words = words

    def judge(self, number: int, start: int) -> dict[str, Any]:
        """Build and read one mutant; what came of it."""
        from mutation.judging import choose_way
        from mutation.mutants import make_mutant

        mutant = make_mutant(number, start)
        way = choose_way(mutant)
        report = {"number": number, "seed": mutant.seed.name, "way": way, "edits": mutant.edits}
        place = self.folder / "m"
        path = mutant.write(place)
        self._take_words()
        before, begin = measure_memory(), time.perf_counter()
        report |= self._read(mutant, path, way)
        report["seconds"] = round(time.perf_counter() - begin, 3)
        report["mib"] = max(0, measure_peak() - before) // 1024
        shutil.rmtree(place)
        said = self._take_words()
        if report["outcome"] in GOOD:
            report |= self._check(report, said)
        return report

    def _read(self, mutant: Any, path: Path, way: str) -> dict[str, Any]:
        from mutation.judging import Unsound, judge

        try:
            return {"outcome": judge(mutant, path, way)}
        except KeyboardInterrupt:
            raise
        except Unsound as error:
            return {"outcome": "unsound", "why": str(error)}
        except BaseException as error:  # a decoder in Rust may raise what is no Exception
            lines = traceback.format_exc().splitlines()
            kind = "warning" if isinstance(error, Warning) else "traceback"
            return {"outcome": kind, "why": "\n".join(lines[-_FRAMES:])}

    def _check(self, report: dict[str, Any], said: str) -> dict[str, Any]:
        """What a good outcome may hide: words to the user's terminal, or too much memory."""
        from tumorlens.imaging.files.limits import DEFAULT_LIMITS

        if said:
            return {"outcome": "words", "why": said}
        if report["mib"] > DEFAULT_LIMITS.memory_bytes >> 20:
            return {"outcome": "memory", "why": f"{report['mib']} MiB"}
        return {}

    def _take_words(self) -> str:
        """What was written to standard output and error, by whatever library."""
        size = os.fstat(self._words.fileno()).st_size
        if not size:
            return ""
        said = os.pread(self._words.fileno(), 2000, 0).decode("utf-8", "replace")
        os.ftruncate(self._words.fileno(), 0)
        os.lseek(1, 0, os.SEEK_SET)
        os.lseek(2, 0, os.SEEK_SET)
        return said


def list_children(process: int | str = "self") -> Iterator[str]:
    """Processes that this one has started, and theirs."""
    with suppress(OSError):
        for task in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208 - twice a mutant
            with suppress(OSError), open(f"/proc/{process}/task/{task}/children") as stream:  # noqa: PTH123
                for child in stream.read().split():
                    yield child
                    yield from list_children(child)


def read_status(process: str, field: str) -> int:
    """A field of ``/proc/PROCESS/status``, in KiB; 0 where there is none."""
    with suppress(OSError), open(f"/proc/{process}/status") as stream:  # noqa: PTH123
        text = stream.read()
        at = text.find(f"{field}:")
        return int(text[at:].split(maxsplit=2)[1]) if at >= 0 else 0
    return 0


def measure_memory() -> int:
    """KiB in use here and in helper processes, from where their peaks are counted anew."""
    processes = ["self", *list_children()]
    for process in processes:
        with suppress(OSError), open(f"/proc/{process}/clear_refs", "w") as stream:  # noqa: PTH123
            stream.write("5")
    return sum(read_status(process, "VmRSS") for process in processes)


def measure_peak() -> int:
    """KiB in use at most since `measure_memory`, here and in helper processes."""
    return sum(read_status(process, "VmHWM") for process in ["self", *list_children()])


def serve(numbers: Sequence[int], start: int, trail: Path, patience: float) -> None:
    """What a worker does: a line of JSON at the begin and at the end of each mutant."""
    os.setpgrp()  # with its helpers, so that all are ended at once
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryFile() as words, trail.open("w") as trace:
        bench = Bench(words)
        os.dup2(words.fileno(), 1)
        os.dup2(words.fileno(), 2)
        warm_up(start)
        for number in numbers:
            answers.write(json.dumps({"begin": number}) + "\n")
            faulthandler.dump_traceback_later(patience, exit=True, file=trace)
            report = bench.judge(number, start)
            faulthandler.cancel_dump_traceback_later()
            answers.write(json.dumps(report) + "\n")
        faulthandler.enable(trace)
    shutil.rmtree(bench.folder)


def warm_up(start: int) -> None:
    """Load all libraries, so that neither memory nor time of their loading is counted."""
    import mutation.judging
    from mutation.mutants import make_mutant

    make_mutant(0, start)
    mutation.judging.warm_up()
    space = read_status("self", "VmSize") * 1024 + _CEILING
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    warnings.simplefilter("error")


class Ledger:
    """Reports as they come; what a file of them holds already counts.

    Args:
        path: of the file; None where nothing is kept.
        start: of chance, which the reports are of.
    """

    def __init__(self, path: Path | None, start: int) -> None:
        self.reports: dict[int, dict[str, Any]] = {}
        self._path, self._start = path, start
        for line in path.read_text().splitlines() if path and path.exists() else ():
            with suppress(ValueError):  # the last one may be cut short
                report = json.loads(line)
                if report.pop("start") == start:
                    self.reports[report["number"]] = report

    def add(self, report: dict[str, Any]) -> None:
        self.reports[report["number"]] = report
        if self._path is not None:
            with self._path.open("a") as stream:
                stream.write("\n" + json.dumps({"start": self._start, **report}))


class Supervisor:
    """Keeps one worker at work over its share of the numbers.

    Args:
        numbers: its share.
        start: of chance.
        ledger: where reports are added.
        folder: for its traces.
        patience: seconds after which a mutant counts as a hang.
    """

    def __init__(
        self, numbers: Sequence[int], start: int, ledger: Ledger, folder: Path, patience: float
    ) -> None:
        self.numbers, self.start, self.ledger, self.patience = numbers, start, ledger, patience
        self.trail = folder / f"trace-{numbers[0]}"

    def run(self) -> None:
        """All numbers, with as many workers as that takes."""
        left = self.numbers
        while left:
            now = left[:_SERVED]
            broken = self._serve(now)
            done = len(now) if broken is None else now.index(broken) + 1
            left = left[done:]

    def _serve(self, numbers: Sequence[int]) -> int | None:
        """One worker; gives the number that it broke on, None if it came to its end."""
        words = ["--serve", str(self.trail), "--start", str(self.start)]
        process = subprocess.Popen(
            [sys.executable, __file__, *words, "--patience", str(self.patience)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun: int | None = None
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(list(numbers)))
        process.stdin.close()
        for line in process.stdout:
            report = json.loads(line)
            begun = report.get("begin")
            if begun is None:
                self.ledger.add(report)
        code = process.wait()
        with suppress(ProcessLookupError):  # helpers that hang outlive a worker
            os.killpg(process.pid, signal.SIGKILL)
        if begun is None and code:
            raise SystemExit(f"a worker ended with {code} before its first mutant")
        if begun is not None:
            self.ledger.add(self._report_end(begun, code))
        return begun

    def _report_end(self, number: int, code: int) -> dict[str, Any]:
        from mutation.judging import choose_way
        from mutation.mutants import make_mutant

        mutant = make_mutant(number, self.start)
        trace = self.trail.read_text(errors="replace") if self.trail.exists() else ""
        return {
            "number": number,
            "seed": mutant.seed.name,
            "way": choose_way(mutant),
            "edits": mutant.edits,
            "outcome": "hang" if "Timeout (" in trace else "crash",
            "why": f"exit code {code}\n{trace[:3000]}",
            "seconds": self.patience if "Timeout (" in trace else 0.0,
            "mib": 0,
        }


def run_all(numbers: range, kept: Path | None, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Reports of all numbers, in their order."""
    ledger, workers = Ledger(kept, options.start), options.workers
    left = [number for number in numbers if number not in ledger.reports]
    shares = [share for place in range(workers) if (share := left[place::workers])]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        supervisors = [
            Supervisor(share, options.start, ledger, Path(folder), options.patience)
            for share in shares
        ]
        watch([pool.submit(one.run) for one in supervisors], ledger, len(numbers), options.quiet)
    return [ledger.reports[number] for number in numbers]


def watch(futures: Sequence[Future[None]], ledger: Ledger, total: int, quiet: bool) -> None:
    """A line now and then, until all is done."""
    begin, before = time.monotonic(), len(ledger.reports)
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, 30)
        for future in done:
            future.result()
        if not quiet:
            reports = list(ledger.reports.values())
            counts = Counter(report["outcome"] for report in reports)
            rate = (len(reports) - before) / (time.monotonic() - begin)
            words = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
            print(f"{len(reports)} of {total}, {rate:.0f}/s: {words}", flush=True)


def describe(report: dict[str, Any]) -> str:
    """What failures of one kind share: the error's type, and the last line of our own code."""
    lines = report["why"].splitlines() or [""]
    ours = [line for line in lines if "src/tumorlens" in line]
    place = re.search(r"src/tumorlens/(\S+?)\"?,? line (\d+)", ours[-1]) if ours else None
    end = re.sub(r"0x[0-9a-f]+|\d+", "N", lines[-1].strip())[:70]
    where = f" at {place[1]}:{place[2]}" if place else ""
    return f"{report['outcome']}{where}: {end if report['outcome'] != 'hang' else 'over 20 s'}"


def count_seconds() -> str:
    """Seconds of a core that all workers and their helpers took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return f"{used.ru_utime + used.ru_stime:.0f} s of a core"


def show_results(results: list[dict[str, Any]], seconds: float) -> None:
    """A table of formats, the failures by kind, the slowest, the largest."""
    names = sorted({report["seed"] for report in results})
    outcomes = [*GOOD, *sorted({report["outcome"] for report in results} - set(GOOD))]
    print(f"\n{len(results)} mutants in {seconds:.0f} s, {count_seconds()}")
    print("| seed | mutants | " + " | ".join(outcomes) + " | slowest, s | memory, MiB |")
    print("|---" * (len(outcomes) + 4) + "|")
    for name in [*names, "all"]:
        rows = [one for one in results if name in (one["seed"], "all")]
        counts = Counter(one["outcome"] for one in rows)
        cells = [name, len(rows), *(counts[outcome] for outcome in outcomes)]
        cells += [max(one["seconds"] for one in rows), max(one["mib"] for one in rows)]
        print("| " + " | ".join(map(str, cells)) + " |")
    kinds: dict[str, list[int]] = {}
    for report in results:
        if report["outcome"] not in GOOD:
            kinds.setdefault(describe(report), []).append(report["number"])
    for kind, numbers in sorted(kinds.items(), key=lambda pair: -len(pair[1])):
        print(f"{len(numbers):6}  {kind}  e.g. {', '.join(map(str, numbers[:4]))}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--start", type=int, default=0, help="of chance")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--output", type=Path, help="reports of all failures, as JSON, and in lines"
    )
    parser.add_argument("--patience", type=float, default=SECONDS, help="seconds a mutant may take")
    parser.add_argument("--quiet", action="store_true", help="no line now and then")
    parser.add_argument("--show", type=int, metavar="NUMBER")
    parser.add_argument("--write", nargs=2, metavar=("NUMBER", "FOLDER"))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(json.load(sys.stdin), options.start, options.serve, options.patience)
        return 0
    if options.show is not None or options.write:
        return show_one(options)
    begin = time.monotonic()
    numbers = range(options.first, options.first + options.count)
    kept = options.output and options.output.with_name(f"{options.output.name}.lines")
    results = run_all(numbers, kept, options)
    show_results(results, time.monotonic() - begin)
    failures = [report for report in results if report["outcome"] not in GOOD]
    if options.output is not None:
        table = {"start": options.start, "first": options.first, "count": options.count}
        counts = dict(Counter(report["outcome"] for report in results))
        slowest = sorted(results, key=lambda report: -report["seconds"])[:20]
        largest = sorted(results, key=lambda report: -report["mib"])[:20]
        table |= {"counts": counts, "failures": failures, "slowest": slowest, "largest": largest}
        options.output.write_text(json.dumps(table, indent=1))
    return 1 if failures else 0


def show_one(options: argparse.Namespace) -> int:
    """One mutant, read in this process, or written."""
    from mutation.judging import choose_way, judge
    from mutation.mutants import make_mutant

    mutant = make_mutant(int(options.write[0]) if options.write else options.show, options.start)
    print(mutant.seed.name, *mutant.edits, sep="\n  ")
    with tempfile.TemporaryDirectory() as folder:
        path = mutant.write(Path(options.write[1] if options.write else folder) / "m")
        print(path)
        if options.show is not None:
            way = choose_way(mutant)
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ResourceWarning)  # of this folder, after an error
            print(way, judge(mutant, path, way))
    return 0


if __name__ == "__main__":
    sys.exit(main())
