"""The facts of a file in one line, for its row and for the table of checks."""

from app import charts
from app.case import Case


def file_facts(case: Case) -> str:
    """Length, size in pixels and in bytes, how it was looked at if not as usual, and the begin of the hash."""
    facts = []
    verdict = case.verdict
    if verdict is not None:
        facts.append({"image": "photo", "video": "video", "unknown": "unknown kind"}[verdict.kind])
        if verdict.kind == "video" and verdict.coverage and verdict.coverage.duration_s:
            facts.append(charts.seconds(verdict.coverage.duration_s))
        if verdict.width and verdict.height:
            facts.append(f"{verdict.width} × {verdict.height}")
    facts += case.look.in_words
    size = case.size_bytes
    facts.append(f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB" if size >= 1000 else f"{size} bytes")
    if verdict is not None and verdict.sha256:
        facts.append(f"SHA-256 {verdict.sha256[:8]}…")
    return " · ".join(facts)
