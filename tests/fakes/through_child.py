"""A plugin of pytest: whatever a test reads with `media` or `video` is also read by the child process.

    python -m pytest -p tests.fakes.through_child tests/detector/test_media.py

Both must give the same pixels, times and errors; what the test then looks at comes from the child. How often they were
compared is written to the file that $COMPARED names.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from detector import apart, media, video
from detector.errors import MediaError

_CALLS = {"read_image": media, "picture_count": media, "probe": video, "read_frame": video}
_SERIES = {
    "iter_pictures": media,
    **dict.fromkeys(("iter_frames", "iter_span", "iter_scouts", "iter_sound"), video),
}
compared = 0


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    return bool(one == other)


def outcome(read: Callable[[], Any]) -> tuple[Any, MediaError | None]:
    try:
        return read(), None
    except MediaError as error:
        return None, error


def both(here: Callable[..., Any], there: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(here)
    def read(*args: Any, **options: Any) -> Any:
        global compared
        mine, failed = outcome(lambda: here(*args, **options))
        theirs, lost = outcome(lambda: there(*args, **options))
        compared += 1
        assert (str(failed), getattr(failed, "reason", None)) == (str(lost), getattr(lost, "reason", None))
        if lost is not None:
            raise lost
        assert same(mine, theirs), f"{here.__name__} gives something else in the child"
        return theirs

    return read


def both_series(here: Callable[..., Any], there: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(here)
    def read(*args: Any, **options: Any) -> Iterator[Any]:
        global compared
        with closing(here(*args, **options)) as mine, closing(there(*args, **options)) as theirs:
            while True:
                expected, failed = outcome(lambda: next(mine, None))
                found, lost = outcome(lambda: next(theirs, None))
                compared += 1
                assert (str(failed), getattr(failed, "reason", None)) == (str(lost), getattr(lost, "reason", None))
                if lost is not None:
                    raise lost
                assert (expected is None) == (found is None), f"{here.__name__} ends at another place in the child"
                if found is None:
                    return
                assert same(expected, found), f"{here.__name__} gives something else in the child"
                yield found

    return read


def pytest_configure() -> None:
    for make, functions in ((both, _CALLS), (both_series, _SERIES)):
        for name, module in functions.items():
            setattr(module, name, make(getattr(module, name), getattr(apart, name)))


def pytest_unconfigure() -> None:
    if "COMPARED" in os.environ:
        Path(os.environ["COMPARED"]).write_text(str(compared), encoding="ascii")
