"""Which sources are left out of training together: the folds of `python -m train leave-out`.

A fold holds sources that share what a network could learn in place of a trace: a generator, a set of persons, a way of
photographing. Kept out one by one, the others would still teach it. Genuine and manipulated faces of a fold are kept
out alike. Every source that trains is in exactly one fold; sources of validation alone (`HELD_OUT_SOURCES` and the
unseen ones of the packs) are in none, since they set the threshold.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from train.data.samples import Sample
from train.errors import DataError


@dataclass(frozen=True, slots=True)
class Fold:
    """Sources that are left out of training together, and what is asked by it."""

    reason: str
    sources: tuple[str, ...]


FOLDS: dict[str, Fold] = {
    "stylegan": Fold(
        "portraits in FFHQ's framing, genuine and by StyleGAN's relatives: does a GAN show without its dataset?",
        (
            "140k", "faces-1024", "ffhq-512", "alaereal", "generated-portraits", "tpdne-2023", "sg2pretty", "eg3d",
            "styleswin", "generated-portraits-512", "tpdne-2023-512", "sfhq",
        ),
    ),
    "diffusion": Fold(
        "diffusion portraits and press photos of the same persons: does a generator of another kind show?",
        (
            "sdxl-tiles", "flux-persons", "fluxlora", "sd14reg", "photomaker", "omnigen", "kolorsid", "uniportrait",
            "flux-persons-512", "facechain", "nano-banana", "nano-pro", "prompts-2025", "realorai", "sd14-portraits",
        ),
    ),
    "edits": Fold(
        "edits of a genuine photo by hand or by latent code, with their originals: do small changes show?",
        ("yonsei", "hyperstyle", "stgan", "sam", "sg2edit", "i2smorph", "glow", "diffae", "psgan", "mtreal"),
    ),
    "photo-swaps": Fold(
        "swaps in news photos of celebrities (LFW and others), with their originals: a person seen cannot help",
        (
            "lfw-faceswap", "lfw", "celebrities", "deepfacetest", "azureface", "facereclib", "afs", "blendface",
            "megafs", "fsdiff", "wuhuikai",
        ),
    ),
    "swap-clips": Fold(
        "swaps and reenactments in video with the same clips untouched: codec and person on both sides",
        (
            "dfl", "timit", "ffpp", "dfd", "roop", "clips-fsgan", "clips-f2f", "clips-spoof1", "clips-spoof2",
            "ffpp-c23", "ffpp-single",
        ),
    ),
    "talking-heads": Fold(
        "generated talking heads and the clips that drive them: a face made from one picture",
        (
            "edtalk", "fomm", "actalker", "atvgnet", "echomimic", "echomimic2", "float", "geneface", "keyface",
            "mofa", "musev", "real3d", "rome", "skyreels", "vlogger", "clips-0507jiho", "clips-astorfi",
            "clips-bodylang",
            "clips-dagan", "clips-dfrf", "clips-dpe", "clips-facerec", "clips-hamilton", "clips-hellomeme",
            "clips-intel", "clips-iplap", "clips-may", "clips-mimictalk", "clips-mingtao", "clips-testimonial",
            "clips-tps", "clips-w2lgfp", "clips-xportrait", "clips-yiranran", "aniportrait", "echomimic-clips",
            "echomimic2-clips", "fantasy-portrait", "spectre-lrs3", "styleheat", "tedxntua", "text2video",
        ),
    ),
    "studio": Fold(
        "genuine studio and stock portraits (photographers, clubs, councils): even light raises most false alarms",
        (
            "unsplash-men", "stock-2021", "mlbstudio", "mlsstudio", "nbastudio", "nyccouncil", "lametro",
            "cfabrigade", "amarbayar", "chimse", "gancarz", "hdhd", "jargal", "kf-escovisualz", "kotayoshida",
            "leontieva", "lixinyinxiang", "mokgethi", "odisha", "raghu", "shubham", "candidatos",
        ),
    ),
    "profiles": Fold(
        "genuine profile pictures of conferences, laboratories and the web: every camera, editor and codec",
        (
            "speakers", "utkface", "allanlab", "ember", "gdgalgiers", "gdgph", "gdgtc", "greenelab", "pyconafrica",
            "pyconhk", "pyconjp", "pyconug", "pyconugcut", "rladies", "ropensci", "rubyau", "rubyindia",
            "asetalias", "bisig", "fossasia-2018", "fossasia-avatars", "iete", "kegiatan", "qianfosi", "somali",
            "vetsatmet", "voteview-bioguide", "voteview-manual", "voteview-wiki", "wavely",
        ),
    ),
}  # fmt: skip
"""At most eight, by the packs of `faces.csv`; a fold of genuine faces only is scored against manipulated faces of
validation whose methods never train."""


def check_folds(samples: Sequence[Sample], folds: Mapping[str, Fold] = FOLDS) -> None:
    """Raises `DataError` unless every source that trains is in exactly one fold.

    Sources that a fold names and the data lack are no error: a part of the data can be measured too.
    """
    named = Counter(source for fold in folds.values() for source in fold.sources)
    twice = sorted(source for source, times in named.items() if times > 1)
    missing = sorted({s.source for s in samples if s.split == "train"} - set(named))
    if twice:
        raise DataError(f"in more than one fold: {', '.join(twice)}")
    if missing:
        raise DataError(
            f"in no fold of train/data/folds.py: {', '.join(missing)}. Put each with the sources that it resembles: "
            f"left in training, they would teach what the folds are to ask"
        )


def leave_out(samples: Sequence[Sample], fold: Fold) -> tuple[list[Sample], list[Sample]]:
    """Samples that train and validate without a fold, and those left out of both; test samples are in neither.

    Whoever is in the fold is in no training: other sources' samples of the same groups are dropped as well.
    """
    left = [s for s in samples if s.source in fold.sources and s.split != "test"]
    groups = {s.group for s in left}
    rest = [s for s in samples if s.source not in fold.sources and s.group not in groups and s.split != "test"]
    return rest, left
