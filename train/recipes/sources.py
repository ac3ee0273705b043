"""`python -m train sources`: from bare mirrors of public repositories to faces, whole pictures and clips that train."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from detector.runtime import limit_threads
from train.console import Bar, say
from train.data.mirrors.catalogue import TABLE, Source, read_sources
from train.data.mirrors.index import write_index
from train.data.mirrors.repository import find_mirror
from train.data.mirrors.store import is_stored, store_repository
from train.errors import DataError


@dataclass(frozen=True)
class Sources:
    """Rebuild the faces, pictures and clips of train/data/sources.csv from mirrors; killed, it goes on."""

    mirrors: Path = Path("mirrors")
    """Folder of bare git directories, OWNER+NAME or OWNER/NAME: `git clone --mirror` makes one."""
    out: Path = Path("data3")
    """The folder to fill: faces.csv, pictures.csv and videos.csv with the files that they name."""
    packs: Path | None = None
    """Folder of the tar packs: whatever looks like one of their faces is left out."""
    table: Path = TABLE
    """The table of sources."""
    only: tuple[str, ...] = ()
    """Slices to take now, in this order; all by default. The index holds whatever was taken so far."""
    index_only: bool = False
    """Take nothing, write the index anew: after a change of labels, splits or of what was rejected by eye."""
    workers: int = 2
    """Processes that work on a repository each."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError("workers must be at least 1")


def run(options: Sources) -> Path:
    """Takes what is missing, writes the index, says what was left out; returns the folder.

    Raises:
        DataError: the table cannot be understood, an unknown slice was asked for, or a group is in two splits.
    """
    sources = [s for s in read_sources(options.table) if s.take != "packs"]
    unknown = sorted(set(options.only) - {s.slice for s in sources})
    if unknown:
        raise DataError(f"{options.table.name} takes no slice {', '.join(unknown)} from mirrors")
    if not options.index_only:
        _take(sources, options)
    counts = write_index(sources, options.out, options.mirrors, options.packs)
    say(counts.told())
    return options.out


def _take(sources: list[Source], options: Sources) -> None:
    by_repository: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        by_repository[source.repository].append(source)
    asked = dict.fromkeys(s.repository for name in options.only for s in sources if s.slice == name)
    missing = []
    for repository in asked or by_repository:
        git_dir = find_mirror(options.mirrors, repository)
        if git_dir is None:
            say(f"{repository}: no mirror in {options.mirrors.name}/, left out")
        elif not is_stored(options.out, repository, by_repository[repository]):
            missing.append((repository, git_dir))
    work = partial(_store, by_repository=by_repository, out=options.out)
    with ExitStack() as stack:
        bar = stack.enter_context(Bar("Repositories"))
        results: Iterator[tuple[str, dict[str, int]]] = map(work, missing)
        if options.workers > 1 and len(missing) > 1:
            # spawned, not forked: torch's threads do not survive a fork
            pool = ProcessPoolExecutor(options.workers, get_context("spawn"), initializer=partial(limit_threads, 1))
            futures = [stack.enter_context(pool).submit(work, one) for one in missing]
            results = (future.result() for future in as_completed(futures))
        for done, (repository, counts) in enumerate(results, 1):
            say(f"{repository}: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
            bar.at(done, len(missing))


def _store(
    one: tuple[str, Path], by_repository: Mapping[str, Sequence[Source]], out: Path
) -> tuple[str, dict[str, int]]:
    repository, git_dir = one
    return repository, store_repository(repository, git_dir, by_repository[repository], out)
