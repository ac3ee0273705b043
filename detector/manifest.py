"""The trained networks as frozen dataclasses: `weights/manifest.json`, version 2, read whole or refused.

`detector.models.registry` says what can be built (code), the manifest what was trained (data). It holds what the
product needs to judge and to say how often it is wrong. What was measured beyond that lies beside it
(`detector.results`). It is written last of all files of a set: where it exists, everything that it names is complete.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn, override

from detector.aggregate import ClipRule
from detector.calibration import Calibration, FalseAlarmCurve
from detector.ensemble import Kind
from detector.errors import UnknownModelError, WeightsError
from detector.types import BandCap, FalseAlarms

MANIFEST = "manifest.json"
MANIFEST_VERSION = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file beside the manifest."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a network was trained: what its figures may depend on besides the command."""

    python: str
    torch: str
    device: str
    cpu_count: int
    commit: str
    amp: bool
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Training:
    """How a network was trained.

    Attributes:
        run: name of the run's folder.
        command: that makes it again.
        seed: of everything drawn, also of splits.
        start: the weights that it began from.
        images_seen: faces, over all epochs.
        hours: of work.
        environment: of the run.
    """

    run: str
    command: str
    seed: int
    start: str
    images_seen: int
    hours: float
    environment: Environment


@dataclass(frozen=True, slots=True)
class Videos:
    """How persons of videos are judged, as `python -m train clips` measured it.

    Attributes:
        calibration, curve, runs, cap: of `detector.aggregate.ClipRule`.
        frames: of a clip that were judged.
        false_alarms: of genuine persons, each judged without having set an edge.
    """

    calibration: Calibration
    curve: FalseAlarmCurve
    runs: float
    cap: BandCap | None
    frames: int
    false_alarms: FalseAlarms

    def __post_init__(self) -> None:
        ClipRule(self.calibration, self.curve, self.runs, self.cap)


@dataclass(frozen=True, slots=True)
class Deletion:
    """Whether a network's maps mark what it looks at, measured on manipulated faces of validation.

    Attributes:
        n: faces.
        hottest, elsewhere: mean fall of the logit when the hottest tenth of the map is hidden, and as much elsewhere.
        low, high: 95 % interval of the mean difference.
    """

    n: int
    hottest: float
    elsewhere: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the hottest place counts more, beyond chance."""
        return self.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetwork:
    """A published network.

    Attributes:
        architecture: a name of the registry.
        file: beside the manifest.
        sha256, bytes: of that file.
        parameters: how many.
        input_size_px: side of the crops.
        paper, licence_of_code: of the architecture.
        training: how it came to be.
        calibration: of its raw logits.
        curve: false alarms on genuine faces of unseen validation sources.
        backbone: the file of a frozen backbone under the network, where that is one of its own.
        golden_logits: raw logits of `detector.weights.golden_crops`, which prove that it loads right.
        deletion: whether its maps are worth showing; None where that was not measured, and they are shown.
        false_alarms: on genuine test faces of sources that neither trained nor tuned anything; may be empty.
        clips: how videos are judged; None where nothing was measured on clips.
    """

    architecture: str
    file: str
    sha256: str
    bytes: int
    parameters: int
    input_size_px: int
    paper: str
    licence_of_code: str
    training: Training
    calibration: Calibration
    curve: FalseAlarmCurve
    golden_logits: tuple[float, ...]
    deletion: Deletion | None = None
    backbone: WeightsFile | None = None
    false_alarms: FalseAlarms = field(default_factory=dict)
    clips: Videos | None = None

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        """All that make the network: its own first."""
        own = WeightsFile(self.file, self.sha256, self.bytes)
        return (own, self.backbone) if self.backbone else (own,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEnsemble:
    """A published combination of networks.

    Attributes:
        kind: of `detector.ensemble.Ensemble`.
        members: names of networks, in the order of its columns.
        calibration: applied to what it makes of its members' calibrated logits.
        curve, false_alarms, clips: as of a network.
        golden_scores: of `detector.ensemble.golden_logits_of_members`, which prove that it loads right.
        settings: that cross-validation chose.
        edges: of a vote, one a member.
        weights: of a weighted vote, one a member.
        stacker: the file of a stacked classifier.
    """

    kind: Kind
    members: tuple[str, ...]
    calibration: Calibration
    curve: FalseAlarmCurve
    golden_scores: tuple[float, ...]
    settings: Mapping[str, str | float] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    stacker: WeightsFile | None = None
    false_alarms: FalseAlarms = field(default_factory=dict)
    clips: Videos | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Faces smaller or more blurred than this get no verdict."""

    min_face_px: float
    min_sharpness: float


@dataclass(frozen=True, slots=True)
class Data:
    """The data that the networks were trained on.

    Attributes:
        fingerprint: of names, labels and splits.
        terms: of use.
        sources: split -> source -> how many genuine and manipulated faces.
        unseen_val_sources: genuine sources that never train, whose validation faces set the band edges.
        edge_faces: how many those are.
        without_face: source -> pictures in which no face was found.
    """

    fingerprint: str
    terms: str
    sources: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    unseen_val_sources: tuple[str, ...] = ()
    edge_faces: int = 0
    without_face: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One choice of `Detector(models=...)`: a network alone, or an ensemble of networks.

    Attributes:
        name: as in the manifest.
        members: names of networks; a network alone is its own only member.
        published: what the manifest says of it.
        clips: how the persons of a video are judged; the cautious rule where nothing was measured.
    """

    name: str
    members: tuple[str, ...]
    published: TrainedNetwork | TrainedEnsemble
    clips: ClipRule

    @property
    def calibration(self) -> Calibration:
        return self.published.calibration

    @property
    def curve(self) -> FalseAlarmCurve:
        return self.published.curve

    @property
    def false_alarms(self) -> FalseAlarms:
        """On genuine media of sources that neither trained nor tuned anything."""
        return self.published.false_alarms

    @property
    def clip_false_alarms(self) -> FalseAlarms:
        """The same on genuine persons of clips, each judged without having set an edge; empty where not measured."""
        return self.published.clips.false_alarms if self.published.clips else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A published set of weights.

    Attributes:
        folder: where it lies.
        date: of publication.
        default: the name that `Detector()` uses.
        default_reason: why, in words.
        test_scored: how often test slices were scored for a set that was published there.
        limits: of faces that get a verdict.
        data: of the training.
        models: networks by name.
        ensembles: of these networks.
    """

    folder: Path
    date: str
    default: str
    default_reason: str
    test_scored: int
    limits: Limits
    data: Data
    models: Mapping[str, TrainedNetwork]
    ensembles: Mapping[str, TrainedEnsemble] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Everything that `Detector(models=...)` takes, the default first."""
        rest = [n for n in (*self.ensembles, *self.models) if n != self.default]
        return (self.default, *rest)

    def entry(self, name: str) -> Entry:
        """A choice by name; "default" is the default.

        Raises:
            UnknownModelError: no such network or ensemble was published.
            WeightsError: an ensemble names a network that the manifest lacks.
        """
        name = self.default if name == "default" else name
        published = self.ensembles.get(name) or self.models.get(name)
        if published is None:
            raise UnknownModelError(f"no weights for {name!r}; published: {', '.join(self.names())}")
        members = published.members if isinstance(published, TrainedEnsemble) else (name,)
        missing = [m for m in members if m not in self.models]
        if missing:
            raise WeightsError(f"ensemble {name!r} needs {', '.join(missing)}, which the manifest does not list")
        clips = published.clips
        rule = (
            ClipRule.unmeasured(published.curve)
            if clips is None
            else ClipRule(clips.calibration, clips.curve, clips.runs, clips.cap)
        )
        return Entry(name, members, published, rule)


def default_folder() -> Path:
    """The `weights/` folder inside an installed copy, or of the checkout that this package lies in."""
    package = Path(__file__).resolve().parent
    inside = package / "_installed" / "weights"
    return inside if inside.is_dir() else package.parent / "weights"


def read_manifest(folder: Path | None = None) -> Manifest:
    """The published set in a folder, `weights/` by default.

    Raises:
        WeightsError: there is none, it cannot be read, or it holds what this version does not know.
    """
    folder = folder or default_folder()
    name = f"{folder.name}/{MANIFEST}"
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"There are no weights: {name} is missing. Fetch the whole repository, or run `python -m train`."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{name} cannot be read ({error}). Fetch it again.") from error
    version = said.pop("manifest_version", None) if isinstance(said, dict) else None
    if version == 1:
        raise WeightsError(f"{name} is of an older version: `python -m train convert` brings it up to this one.")
    if version != MANIFEST_VERSION:
        raise WeightsError(f"{name} has another version than this program: update both together.")
    try:
        return from_plain(Manifest, {"folder": folder, **said})
    except ValueError as error:
        raise WeightsError(f"{name} is not as it should be: {error}. Fetch weights/ again.") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest whole or not at all, last of all files of a set."""
    said = {"manifest_version": MANIFEST_VERSION, **{k: v for k, v in to_plain(manifest).items() if k != "folder"}}
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(_compact(said) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)


def from_plain(kind: type[T], said: object) -> T:
    """A frozen dataclass from plain values, as JSON gives them.

    Raises:
        ValueError: a key is missing or unknown, or a value is of the wrong kind or impossible; the message says where.
    """
    try:
        return _CONVERTER.structure(said, kind)
    except (cattrs.BaseValidationError, ValueError, TypeError, KeyError) as error:
        lines = cattrs.transform_error(error, path=kind.__name__, format_exception=_cause)
        raise ValueError("; ".join(lines[:3])) from None  # the chain is a page of groups, and the lines say it all


def to_plain(value: Any) -> Any:
    """Plain values for JSON; fields that hold their default are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for f in fields(value):
            own = getattr(value, f.name)
            default = f.default_factory() if callable(f.default_factory) else f.default
            if own != default:
                plain[f.name] = to_plain(own)
        return plain
    if isinstance(value, Mapping):
        return {k: to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    return value


def _cause(error: BaseException, kind: type | None) -> str:
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        return f"unknown key {', '.join(sorted(error.extra_fields))}"
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return str(error)


def _only(*kinds: type) -> Any:
    """Takes values of these kinds as they are and refuses others: a converter would make text of a number."""

    def taken(value: object, kind: type) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{value!r} is not {' or '.join(k.__name__ for k in kinds)}")
        return float(value) if kinds[0] is float else value  # type: ignore[arg-type]

    return taken


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind, kinds in ((str, (str,)), (int, (int,)), (bool, (bool,)), (float, (float, int))):
        converter.register_structure_hook(kind, _only(*kinds))
    converter.register_structure_hook(str | float, lambda value, _: _only(str, float, int)(value, str))
    converter.register_structure_hook(Path, lambda value, _: value)
    # a verdict says whether its own band was lowered; the rule for videos does not
    converter.register_structure_hook(
        BandCap, make_dict_structure_fn(BandCap, converter, applied=override(omit=True), _cattrs_forbid_extra_keys=True)
    )
    return converter


_CONVERTER = _converter()


def _compact(said: object, depth: int = 0) -> str:
    """JSON with a line a key down to what belongs together: short enough to keep, and its changes can be read."""
    flat = json.dumps(said)
    if not isinstance(said, dict) or len(flat) + depth <= 110:
        return flat
    inside = " " * (depth + 1)
    rows = (f"{inside}{json.dumps(k)}: {_compact(v, depth + 1)}" for k, v in said.items())
    return "{\n" + ",\n".join(rows) + "\n" + " " * depth + "}"
