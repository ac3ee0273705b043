"""Where sentences for people stand: in `detector.words`, and elsewhere only for a reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = {
    "report.py": "composes the verdict: headline, facts, quotation",
    "schema.py": "the codes of the JSON schema, each beside its sentence",
    "steps.py": "the table of next steps",
    "provenance/": "a line of evidence states the values that its rule has just computed",
    "paper/contents.py": "the headings and cells of the paper report",
    "annotate.py": "the label that is written onto a marked copy",
    "__main__.py": "the command line's own help and complaints",
    "takeaways.py": "the command line's complaints about files that it writes",
}
"""Module or folder of `detector` -> why sentences stand there."""
ERRORS = re.compile(r"Error$|^Cancelled$")


def sentences(tree: ast.Module) -> Iterator[ast.Constant]:
    """Texts of five words or more that end as a sentence does; not docstrings and not messages of errors."""
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Raise) or ERRORS.search(name):
            skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in skipped:
            continue
        if re.search(r"[a-z%”)]\.($| )", node.value) and len(re.findall(r"\b[A-Za-z]{2,}\b", node.value)) >= 5:
            yield node


def test_sentences_stand_in_words_or_have_a_reason_to_stand_elsewhere() -> None:
    outside = set()
    for path in sorted((ROOT / "detector").rglob("*.py")):
        name = path.relative_to(ROOT / "detector").as_posix()
        if name != "words.py" and any(sentences(ast.parse(path.read_text(encoding="utf-8")))):
            outside.add(next((place for place in ELSEWHERE if name.startswith(place)), name))
    assert outside <= ELSEWHERE.keys(), "move the sentence to detector/words.py"
    assert outside == ELSEWHERE.keys(), "no sentence stands there any more: take it off the table"


def test_the_search_tells_a_sentence_from_an_error_and_a_docstring() -> None:
    code = '''
"""A docstring that is a sentence."""
raise ValueError("This is an error for a program.")
LINE = "This is a line for people."
text = f"The file holds {3} pictures, all looked at. Look there."
name = "no sentence, for it does not end"
'''
    assert len(list(sentences(ast.parse(code)))) == 2
