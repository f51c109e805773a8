"""Copies of pictures: in a set, with two labels, in two groups, across splits and across sets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.findings import AuditFinding, Example
from tumorlens.data.class_names import find_split
from tumorlens.data.duplicates.copy_search import CopyPair, original_key
from tumorlens.data.rows import Row
from tumorlens.digits import say_count

__all__ = ["find_conflicts", "find_copies", "find_divided_groups", "find_leaks", "find_shared"]

_ORIGINALS = ("image with edited copies", "images with edited copies")
_GROUPS = ("group (patient)", "groups (patients)")


def find_copies(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report exact and near copies in the set."""
    own = [pair for pair in evidence.copy_pairs if pair.second < evidence.own]
    exact = [pair for pair in own if _is_exact(evidence, pair)]
    near = [pair for pair in own if not _is_exact(evidence, pair)]
    readable = evidence.readable
    same = len(readable) - len({evidence.traits[row].digest for row in readable})
    alike = len(readable) - evidence.distinct - same
    for check, pairs, count, what in (
        ("exact copies", exact, same, "with the same pixels as another picture"),
        (
            "near copies",
            near,
            alike,
            "copied from another picture and turned, cropped or changed in contrast",
        ),
    ):
        if count < 1 or not pairs:
            continue
        ways = Counter(pair.orientation for pair in pairs if pair.orientation != "same")
        turned = ", ".join(f"{count:,} {way}" for way, count in ways.most_common(3))
        yield AuditFinding(
            "twins",
            check,
            f"{say_count(count, 'picture')} {what}" + (f"; of these, {turned}" if turned else ""),
            "keep copies in one group, so that no split separates them: tumorlens split does this",
            impact=0.4 * count / len(readable),
            rows=_rows_of(pairs),
            examples=_show(evidence, pairs),
            instances=len(pairs),
        )


def find_conflicts(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report pictures with two labels: one of the two is wrong, or the picture is ambiguous."""
    rows = evidence.rows
    pairs = [pair for pair in evidence.copy_pairs if _differ(rows[pair.first], rows[pair.second])]
    if pairs:
        digests = {evidence.traits[row].digest for row in _rows_of(pairs)}
        concerned = tuple(n for n, one in enumerate(evidence.traits) if one.digest in digests)
        own = tuple(row for row in concerned if row < evidence.own)
        yield AuditFinding(
            "conflicts",
            "two labels",
            say_count(len(concerned), "picture") + " with a copy that has another label",
            "look at each pair, then correct one label or leave both pictures out",
            impact=min(1.0, 2 * len(concerned) / len(rows)),
            rows=concerned,
            leave_out=own,
            examples=_show(evidence, pairs),
            instances=len(pairs),
        )


def find_leaks(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report groups and copies that are on two sides of a split."""
    groups: dict[str, list[int]] = defaultdict(list)
    edited: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, row in enumerate(evidence.rows[: evidence.own]):
        if row.group:
            groups[row.group].append(number)
        if key := original_key(row):
            edited[key].append(number)
    copies = [[row for row in same if row < evidence.own] for same in evidence.sets_of_copies()]
    for check, clusters, what in (
        ("groups across splits", groups.values(), _GROUPS),
        ("copies across splits", copies, ("picture",)),
        ("edited copies across splits", edited.values(), _ORIGINALS),
    ):
        crossing = [one for one in clusters if len(_splits(evidence, one)) > 1]
        if crossing:
            yield _tell_leak(evidence, check, crossing, what)


def _tell_leak(
    evidence: Evidence, check: str, crossing: list[list[int]], what: tuple[str, ...]
) -> AuditFinding:
    concerned = sorted(row for one in crossing for row in one)
    held = [row for row in range(evidence.own) if _rank(evidence.rows[row].split)]
    tested = held or [row for row in range(evidence.own) if evidence.rows[row].split]
    leaked = len(set(tested) & set(concerned))
    words = " and ".join(sorted({s for one in crossing for s in _splits(evidence, one)}))
    return AuditFinding(
        "leakage",
        check,
        f"{say_count(len(crossing), *what)} in more than one of {words}: {leaked:,} of "
        f"{say_count(len(tested), 'held-out picture')} also on another side",
        "make a new split with tumorlens split, or leave out the rows on the training side",
        impact=leaked / max(1, len(tested)),
        rows=tuple(concerned),
        leave_out=tuple(sorted(row for one in crossing for row in _weaker(evidence, one))),
        examples=tuple(_show_crossing(evidence, one) for one in crossing[: evidence.most_examples]),
        instances=len(crossing),
    )


def find_shared(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report groups and copies that are in both sets."""
    if evidence.own == len(evidence.rows):
        return
    groups: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(evidence.rows):
        if row.group:
            groups[row.group].append(number)
    for check, clusters, what in (
        ("groups in both sets", groups.values(), _GROUPS),
        ("copies in both sets", evidence.sets_of_copies(), ("picture",)),
    ):
        both = [one for one in map(list, clusters) if min(one) < evidence.own <= max(one)]
        if not both:
            continue
        rows = tuple(sorted(row for one in both for row in one))
        own = tuple(row for row in rows if row < evidence.own)
        yield AuditFinding(
            "leakage",
            check,
            f"{say_count(len(both), *what)} in both sets: {len(own):,} of the set's "
            f"{evidence.own:,} rows, {len(rows) - len(own):,} of the other's "
            f"{len(evidence.rows) - evidence.own:,}",
            "do not train on one set and test on the other, or leave these rows out of one of them",
            impact=len(own) / max(1, evidence.own),
            rows=rows,
            leave_out=own,
            examples=tuple(
                Example((min(one), min(row for row in one if row >= evidence.own)), "in both sets")
                for one in both[: evidence.most_examples]
            ),
            instances=len(both),
        )


def find_divided_groups(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report copies in different groups: a split by groups may separate them."""
    pairs = [
        pair
        for pair in evidence.copy_pairs
        if pair.second < evidence.own
        and evidence.rows[pair.first].group
        and evidence.rows[pair.second].group
        and evidence.rows[pair.first].group != evidence.rows[pair.second].group
    ]
    if pairs:
        rows = _rows_of(pairs)
        yield AuditFinding(
            "groups",
            "copies in two groups",
            say_count(len(rows), "picture") + " with a copy in another group",
            "join the groups: a split that joins copies does this",
            impact=0.6 * len(rows) / evidence.own,
            rows=rows,
            examples=_show(evidence, pairs),
            instances=len(pairs),
        )


def _is_exact(evidence: Evidence, pair: CopyPair) -> bool:
    return evidence.traits[pair.first].digest == evidence.traits[pair.second].digest


def _differ(first: Row, second: Row) -> bool:
    """Whether two rows have different labels or tumor classes; unknown ones differ from none."""
    if not (first.label and second.label):
        return False
    classes = first.tumor_class and second.tumor_class
    return first.label != second.label or bool(classes and first.tumor_class != second.tumor_class)


def _rows_of(pairs: Iterable[CopyPair]) -> tuple[int, ...]:
    return tuple(sorted({row for pair in pairs for row in (pair.first, pair.second)}))


def _splits(evidence: Evidence, rows: Iterable[int]) -> set[str]:
    return {evidence.rows[row].split for row in rows} - {""}


def _rank(split: str) -> int:
    """Rank of the side that keeps a shared image: test, then validation, then all others."""
    return {"test": 2, "validation": 1}.get(find_split(split) or split, 0)


def _weaker(evidence: Evidence, rows: list[int]) -> list[int]:
    """The rows to leave out, so that the others are all on the side with the highest rank."""
    counts = Counter(evidence.rows[row].split for row in rows)
    kept = max(counts, key=lambda split: (bool(split), _rank(split), counts[split]))
    return [row for row in rows if evidence.rows[row].split not in ("", kept)]


def _show(evidence: Evidence, pairs: list[CopyPair]) -> tuple[Example, ...]:
    """The least similar copies come first: if one is no copy, it is among them."""
    least = sorted(pairs, key=lambda pair: pair.correlation)[: evidence.most_examples]
    return tuple(
        Example(
            (pair.first, pair.second),
            f"{_name_classes(evidence.rows[pair.first], evidence.rows[pair.second])}, correlation "
            f"{pair.correlation:.2f}"
            + ("" if pair.orientation == "same" else f", {pair.orientation}"),
        )
        for pair in least
    )


def _name_classes(first: Row, second: Row) -> str:
    names = [one.class_name.replace("_", " ") or "unlabelled" for one in (first, second)]
    return f"both {names[0]}" if names[0] == names[1] else " and ".join(names)


def _show_crossing(evidence: Evidence, rows: list[int]) -> Example:
    first = next(row for row in rows if evidence.rows[row].split)
    split = evidence.rows[first].split
    second = next(row for row in rows if evidence.rows[row].split not in ("", split))
    return Example((first, second), f"{split} and {evidence.rows[second].split}")
