"""Statements of Content Credentials on how a picture was made and changed, manifest by manifest.

The signals are those of the local signals rubric of the C2PA conformance programme ("C2PA Asset Rubrics" 1.0,
2026-08-06, https://github.com/c2pa-org/conformance-public, CC BY 4.0): how it began is told from what was done to it
later, and every manifest of the store counts. Unlike the rubric, the older actions assertion counts too, since files
with it are about.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from detector.evidence import Line, Says, plain
from detector.provenance.sources import source_type

WHERE = "Content Credentials"
_BEGINNINGS = ("c2pa.created", "c2pa.opened")
_CONTENT_STAYS = (
    "c2pa.converted",
    "c2pa.published",
    "c2pa.repackaged",
    "c2pa.transcoded",
    "c2pa.resized.proportional",
    "c2pa.enhanced",
    "c2pa.edited.metadata",
    "c2pa.watermarked",
    "c2pa.watermarked.bound",
    "c2pa.watermarked.unbound",
    "c2pa.redacted",
)
_GENERATIVE = (
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "compositeSynthetic",
    "trainedAlgorithmicData",
)
_PERHAPS_GENERATIVE = ("digitalArt", "composite")
_MAX_STEPS = 200
_MAX_NAMED = 12


class _Step(NamedTuple):
    """One action of a manifest. `source`: its digital source type as it stands, empty where there is none."""

    action: str
    source: str
    tool: str


class _Kind(NamedTuple):
    """A kind of edit: code of its line, what it says, and its words."""

    code: str
    says: Says
    text: str


_GENERATED = _Kind("edited_generated", "partly_generated", "was edited with a generative model")
_PERHAPS = _Kind(
    "edited_may_be_generated", "may_be_generated", "was edited in a way that may have used a generative model"
)
_PLAIN = _Kind("edited", "edited", "was edited without a generative model")
_NOT_SAID = _Kind("edited_how_not_said", "edited", "was edited; with what kind of tool is not said")
_SAME_CONTENT = _Kind("content_stays", "nothing", "went through steps that leave its content as it is")


def claims_of(manifests: Mapping[str, Any], active: str, subject: str) -> tuple[Line, ...]:
    """Statements of every manifest, each once, the outermost first; last whether the list of steps claims to be whole.

    Args:
        manifests: label -> manifest, as the library gives them.
        active: label of the one that is bound to the file.
        subject: what says so, with a capital letter, such as "The signed statement".
    """
    lines: dict[Line, None] = {}
    for label in sorted(manifests, key=lambda name: name != active):
        lines |= dict.fromkeys(_of_manifest(manifests[label], label == active, subject))
    if any(_incomplete(manifest) for manifest in manifests.values()):
        text = "The statement does not say that it lists every step, so there may have been others."
        lines[Line("claim.steps_incomplete", "observed", text, WHERE)] = None
    return tuple(lines)


def _of_manifest(manifest: Mapping[str, Any], active: bool, subject: str) -> Iterator[Line]:
    maker = _maker(manifest)
    where = WHERE if active else f"{WHERE}, an earlier version"
    about = f"{subject} says that {'it' if active else 'an earlier version'}"
    steps = list(_steps(manifest))

    def said(code: str, text: str, says: Says, tool: str = "", value: str | None = None) -> Line:
        by = f" ({', '.join(dict.fromkeys(filter(None, (tool, maker))))})" if tool or maker else ""
        return Line(f"claim.{code}", "observed", f"{about} {text}{by}.", where, says, value)

    beginnings = [(step.source, step.tool) for step in steps if step.action in _BEGINNINGS or not step.action]
    for source, tool in (*beginnings, *((source, "") for source in _stated_sources(manifest))):
        known_type = source_type(source)
        if known_type is not None:
            code, meaning = known_type
            yield said(code, f"was {meaning.text}", meaning.says, tool, plain(source, 120))
    for kind, edits in _by_kind(steps).items():
        tools = ", ".join(dict.fromkeys(step.tool for step in edits if step.tool))
        names = dict.fromkeys(_name(step.action) for step in edits)
        listed = ", ".join([*list(names)[:_MAX_NAMED], *(["…"] if len(names) > _MAX_NAMED else [])])
        # "edited" alone tells nothing more
        text = kind.text if list(names) == ["edited"] else f"{kind.text}: {listed}"
        yield said(kind.code, text, kind.says, tools, plain(", ".join(dict.fromkeys(s.action for s in edits)), 160))
    for title in _without_credentials(manifest):
        named = f" (“{title}”)" if title else ""
        text = (
            f"{about} was made of a file without Content Credentials of its own{named}, so nothing is stated of how "
            "that one was made."
        )
        yield Line("claim.unknown_provenance", "observed", text, where, value=title or None)
    yield from _notes(manifest, subject, where, maker)


def _by_kind(steps: Iterable[_Step]) -> dict[_Kind, list[_Step]]:
    """All that was done after the beginning: each kind of edit with its steps, in the order of `_Kind` above."""
    edits_of: dict[_Kind, list[_Step]] = {k: [] for k in (_GENERATED, _PERHAPS, _PLAIN, _NOT_SAID, _SAME_CONTENT)}
    for step in steps:
        if not step.action or step.action in _BEGINNINGS or step.action == "c2pa.unknown":
            continue
        source = source_type(step.source)
        if step.action in _CONTENT_STAYS:
            kind = _SAME_CONTENT
        elif source is None:
            kind = _NOT_SAID
        elif source[0] in _GENERATIVE:
            kind = _GENERATED
        else:
            kind = _PERHAPS if source[0] in _PERHAPS_GENERATIVE else _PLAIN
        edits_of[kind].append(step)
    return {kind: edits for kind, edits in edits_of.items() if edits}


def _notes(manifest: Mapping[str, Any], subject: str, where: str, maker: str) -> Iterator[Line]:
    """Statements of makers' own that a picture was generated."""
    for data in _assertions(manifest):
        if data.get("ai_generated") is True:
            text = f"{subject} has a note of its maker's own that it was generated{f' ({maker})' if maker else ''}."
            value = plain(data.get("model") or "", 80) or None
            yield Line("claim.ai_generated", "observed", text, where, "generated", value)


def _maker(manifest: Mapping[str, Any]) -> str:
    for info in manifest.get("claim_generator_info") or ():
        if isinstance(info, dict) and info.get("name"):
            return plain(info["name"], 60)
    return plain(str(manifest.get("claim_generator") or "").split("/")[0].split(" c2pa-rs")[0], 60)


def _assertions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for assertion in manifest.get("assertions") or ():
        data = assertion.get("data") if isinstance(assertion, dict) else None
        if isinstance(data, dict):
            yield data


def _steps(manifest: Mapping[str, Any]) -> Iterator[_Step]:
    count = 0
    for data in _assertions(manifest):
        for action in data.get("actions") or ():
            count += 1
            if not isinstance(action, dict) or count > _MAX_STEPS:
                continue
            agent, source = action.get("softwareAgent"), action.get("digitalSourceType")
            tool = agent.get("name", "") if isinstance(agent, dict) else agent or ""
            name = plain(action.get("action") or "", 60)
            yield _Step(name, source if isinstance(source, str) else "", plain(tool, 60))


def _stated_sources(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Source types that an assertion states by itself, beside any action."""
    for data in _assertions(manifest):
        for key, value in data.items():
            if key.rpartition(":")[2].casefold() == "digitalsourcetype" and isinstance(value, str):
                yield value


def _without_credentials(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Titles of files that went in and brought no credentials; empty for one without a title."""
    titles = dict.fromkeys(
        plain(ingredient.get("title") or "", 60)
        for ingredient in manifest.get("ingredients") or ()
        if isinstance(ingredient, dict) and not ingredient.get("active_manifest")
    )
    yield from list(titles)[:_MAX_NAMED]


def _incomplete(manifest: Mapping[str, Any]) -> bool:
    """Whether there may be steps that are not named, or are named in terms that nobody else knows."""
    lists = [data for data in _assertions(manifest) if isinstance(data.get("actions"), list) and data["actions"]]
    if not lists or any(data.get("allActionsIncluded") is not True for data in lists):
        return True
    return any(step.action == "c2pa.unknown" or not step.action.startswith("c2pa.") for step in _steps(manifest))


def _name(action: str) -> str:
    """An action in plain words: "c2pa.adjustedColor" is "adjusted color"; those of makers' own stay as they are."""
    if not action.startswith("c2pa."):
        return action
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[._]", " ", action.removeprefix("c2pa."))
    return words.casefold()
