"""Packs: tar files of face crops beside a `faces.csv` that says what each one is.

The table has the columns path, pack, label, method, slice, group, split; a picture is the member `path` of
`<pack>.tar`, or where `pack` is empty (as `python -m train faces` leaves it) the file `path` beside the table. Splits
are the publisher's and are kept.
"""

import csv
import tarfile
from pathlib import Path

from train.data.samples import SPLITS, Sample
from train.errors import DataError

TABLE = "faces.csv"


def is_pack_folder(root: Path) -> bool:
    return (root / TABLE).is_file()


def read_packs(root: Path) -> list[Sample]:
    """All faces that the table lists and the tar files hold.

    Raises:
        DataError: a pack named in the table is missing, or lacks a picture.
    """
    members: dict[str, dict[str, tuple[int, int]]] = {}
    samples = []
    with (root / TABLE).open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            pack, member = row["pack"], None
            if pack:
                if pack not in members:
                    members[pack] = _index(root / f"{pack}.tar")
                member = members[pack].get(row["path"])
                if member is None:
                    raise DataError(
                        f"{TABLE} lists {row['path']}, which {pack}.tar does not hold: fetch the pack again"
                    )
            elif not (root / row["path"]).is_file():
                raise DataError(f"{TABLE} lists {row['path']}, which is not there: cut out the faces again")
            if row["split"] not in SPLITS or row["label"] not in ("real", "fake"):
                raise DataError(f"{TABLE}: {row['path']} has split {row['split']!r} and label {row['label']!r}")
            samples.append(
                Sample(
                    path=root / (f"{pack}.tar" if pack else row["path"]),
                    member=member,
                    name=row["path"],
                    label=int(row["label"] == "fake"),
                    source=row["slice"],
                    group=row["group"],
                    method=row["method"],
                    split=row["split"],
                )
            )
    return samples


def _index(path: Path) -> dict[str, tuple[int, int]]:
    if not path.is_file():
        raise DataError(f"{path.name} is missing beside {TABLE}: put every pack that the table names there")
    with tarfile.open(path, "r:") as tar:
        return {m.name.removeprefix("./"): (m.offset_data, m.size) for m in tar if m.isfile()}
