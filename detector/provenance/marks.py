"""Labels without a signature: what generators, editors and platforms write beside the pixels.

Anybody can remove or forge them, and their absence means nothing. A generator's record counts by its content alone: a
text chunk named "parameters" is no mark, one that holds steps, a sampler and a seed is.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from detector.evidence import Line, Says, plain
from detector.provenance.exif import Exif
from detector.provenance.packets import Packets, Text
from detector.provenance.sources import source_type
from detector.provenance.xmp import Property

FORGEABLE = "Anybody can remove or forge this."
MAX_JSON = 1 << 20
_TC260 = "tc260.org.cn"
_AIGC_LABELS: dict[str, tuple[str, Says]] = {
    "1": ("generated", "generated"),
    "2": ("possibly generated", "may_be_generated"),
    "3": ("suspected to be generated", "may_be_generated"),
}
"""Of the label's `Label` field: GB 45438-2025, Appendix E."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_GROK_SIGNATURE = re.compile(r"Signature: [A-Za-z0-9+/]{80,}={0,2}$")
_WEBUI = (re.compile(r"\bSteps: \d+"), re.compile(r"\bSeed: \d+"), re.compile(r"\b(Sampler|CFG scale|Size): \S"))
_MIDJOURNEY = re.compile(r"\bJob ID: " + _UUID.pattern, re.I)
_GENERATORS = re.compile(
    r"\b(midjourney|dall[-·. ]?e|stable diffusion|adobe firefly|comfyui|invokeai|novelai|ideogram|recraft|"
    r"leonardo\.?ai|flux\.[12]|imagen [34]|gpt-4o|sora|grok imagine|nano banana|seedream|jimeng|doubao)\b",
    re.I,
)
_CREDITS = re.compile(r"^(made|edited|created|generated) with google ai$|^apple photos clean ?up$", re.I)
_AI_PROPERTIES = {
    "aisystemused": "names the AI system that was used",
    "aisystemversionused": "names the version of the AI system that was used",
    "aipromptinformation": "holds the prompt of a generative model",
}
"""Of IPTC Photo Metadata 2025.1, in lower case."""


def find_marks(
    packets: Packets, properties: Iterable[Property], exif: Exif, tags: Mapping[str, str], tail: bytes = b""
) -> tuple[Line, ...]:
    """Every mark, each once.

    Args:
        properties: of all XMP packets.
        tags: of a video's container.
        tail: the last bytes of the file, where telephones keep what was edited.
    """
    texts = [
        *packets.texts,
        Text("ImageDescription", exif.description, "EXIF, ImageDescription"),
        Text("UserComment", exif.comment, "EXIF, UserComment"),
        *(Text(key, value, f"container, {key}") for key, value in tags.items()),
    ]
    lines = [
        *_of_xmp(properties),
        *(line for text in texts if text.value for line in _of_text(text)),
        *_of_exif(exif),
        *_of_iptc(packets.iptc),
        *_of_telephone(tail),
    ]
    return tuple({(line.code, line.value): line for line in reversed(lines)}.values())[::-1]


def _line(code: str, basis: Any, text: str, where: str, says: Says, value: str | None = None) -> Line:
    return Line(f"mark.{code}", basis, f"{text} {FORGEABLE}", plain(where, 120), says, value)


def _of_xmp(properties: Iterable[Property]) -> Iterator[Line]:
    for item in properties:
        name, where = item.name.casefold(), f"{item.where}, {item.name}"
        if name in ("digitalsourcetype", "digitalsourcefiletype"):
            yield from _source(item.value, where)
        elif name == "aigc" and _TC260 in item.namespace:
            yield from _aigc(item.value, where)
        elif name in _AI_PROPERTIES and item.value:
            text = f"A label in the file {_AI_PROPERTIES[name]}."
            yield _line(item.name, "observed", text, where, "generated", plain(item.value))
        elif name == "credit" and _CREDITS.match(item.value):
            yield _credit(item.value, where)
        elif name == "creatortool":
            yield from _software(item.value, where)


def _source(value: str, where: str) -> Iterator[Line]:
    known_type = source_type(value)
    if known_type is not None:
        code, meaning = known_type
        text = f"A label in the file says that it was {meaning.text}."
        yield _line(code, "observed", text, where, meaning.says, plain(value, 120))


def _credit(value: str, where: str) -> Line:
    generated = value.casefold().startswith(("made", "created", "generated"))
    says: Says = "generated" if generated else "partly_generated"
    text = f"The credit line says “{plain(value, 60)}”, which that program writes when it makes or changes a picture."
    return _line("credit", "observed", text, where, says, plain(value, 60))


def _software(value: str, where: str) -> Iterator[Line]:
    match = _GENERATORS.search(value)
    if match:
        name = plain(match[0], 40)
        text = f"The field for the software names “{name}”, a generative model or a program for such models."
        yield _line("software", "observed", text, where, "may_be_generated", plain(value, 120))


def _aigc(value: str, where: str) -> Iterator[Line]:
    """China's label for generated content: JSON in XMP, in EXIF, in text chunks and in video containers."""
    label = _object(value)
    label = label.get("AIGC", label) if isinstance(label.get("AIGC"), dict) else label
    meaning = _AIGC_LABELS.get(str(label.get("Label", "")))
    if meaning is None or "ContentProducer" not in label:
        return
    maker = plain(label["ContentProducer"], 60)
    text = f"China's label for generated content (TC260) says: {meaning[0]}. Its producer's number is “{maker}”."
    yield _line("aigc", "observed", text, where, meaning[1], maker)


def _of_text(text: Text) -> Iterator[Line]:
    key, value, where = text.key.casefold(), text.value, text.where
    if all(pattern.search(value) for pattern in _WEBUI):
        said = "The file holds the settings of a Stable Diffusion program: steps, sampler and seed."
        yield _line("stable_diffusion", "observed", said, where, "generated", plain(value))
        return
    if _MIDJOURNEY.search(value):
        said = "The description ends with a job number as Midjourney writes it."
        yield _line("midjourney", "observed", said, where, "generated", plain(value))
        return
    if key == "software" or key.endswith(("encoder", "comment")):
        yield from _software(value, where)
    if value.lstrip()[:1] == "{" and len(value) <= MAX_JSON:
        yield from _of_json(_object(value), value, where)


def _of_json(fields: Mapping[str, Any], value: str, where: str) -> Iterator[Line]:
    if "AIGC" in fields or "ContentProducer" in fields:
        yield from _aigc(value, where)
    elif _is_comfy_prompt(fields):
        kinds = {str(node["class_type"]) for node in fields.values()}
        sampled = any("sampler" in kind.casefold() for kind in kinds)
        said = "The file holds a ComfyUI graph" + (
            " with a sampler, the part that generates a picture." if sampled else ", without a part that generates."
        )
        yield _line("comfyui", "observed", said, where, "generated" if sampled else "nothing", plain(", ".join(kinds)))
    elif isinstance(fields.get("nodes"), list) and isinstance(fields.get("links"), list) and "last_node_id" in fields:
        yield _line("comfyui_workflow", "observed", "The file holds a ComfyUI workflow.", where, "may_be_generated")
    elif _has(fields, "positive_prompt", "seed", "steps") or _has(fields, "image", "model", "app_version"):
        yield _line(
            "invokeai",
            "observed",
            "The file holds the settings of InvokeAI: model, prompt and seed.",
            where,
            "generated",
        )
    elif _has(fields, "base_model", "prompt", "seed", "sampler"):
        yield _line(
            "fooocus", "observed", "The file holds the settings of Fooocus: model, prompt and seed.", where, "generated"
        )
    elif _has(fields, "prompt", "steps", "seed", "sampler", "scale"):
        yield _line(
            "novelai", "observed", "The file holds the settings of NovelAI: prompt, steps and seed.", where, "generated"
        )


def _is_comfy_prompt(fields: Mapping[str, Any]) -> bool:
    return bool(fields) and all(
        isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
        for node in fields.values()
    )


def _has(fields: Mapping[str, Any], *keys: str) -> bool:
    return all(fields.get(key) not in (None, "") for key in keys)


def _of_exif(exif: Exif) -> Iterator[Line]:
    if _GROK_SIGNATURE.match(exif.description) and _UUID.fullmatch(exif.artist):
        text = (
            "The description is a signature and the artist a random number, as Grok (xAI) writes them. The signature "
            "cannot be checked: its key is not public."
        )
        yield _line("grok", "inferred", text, "EXIF, ImageDescription and Artist", "generated", exif.artist)
    if exif.software:
        yield from _software(exif.software, "EXIF, Software")


def _of_iptc(block: bytes | None) -> Iterator[Line]:
    for number, value in iptc_records(block):
        if number == 110 and _CREDITS.match(value):
            yield _credit(value, "IPTC, Credit")


def iptc_records(block: bytes | None) -> Iterator[tuple[int, str]]:
    """(number, text) of the application records of an IPTC-IIM block."""
    at = 0
    for _ in range(1000):
        if block is None or block[at : at + 2] != b"\x1c\x02" or at + 5 > len(block):
            return
        length = int.from_bytes(block[at + 3 : at + 5], "big")
        yield block[at + 2], block[at + 5 : at + 5 + length].decode("utf-8", "replace")
        at += 5 + length


def _of_telephone(tail: bytes) -> Iterator[Line]:
    """Samsung's gallery keeps what was edited behind the picture; a kind above 0 means that a model took part."""
    match = re.search(rb'"genAIType"\s*:\s*"?(\d{1,4})', tail)
    if match and int(match[1]) > 0:
        text = "The telephone's gallery noted that it edited the picture with a generative model."
        where = "behind the picture, genAIType"
        yield _line("telephone_edit", "observed", text, where, "partly_generated", match[1].decode())


def _object(text: str) -> dict[str, Any]:
    if len(text) > MAX_JSON:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
