"""Networks that judge one person's frames together: a registered backbone, and a head that reads its features in order.

The head starts as the average of the frames and learns only what to add to it (its last layer starts at zero), so
that little data can make it no worse than the average to begin with. ResNet and LSTM as in Güera and Delp, "Deepfake
Video Detection Using Recurrent Neural Networks", AVSS 2018; the alternative is a temporal convolution after Bai et
al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling", 2018.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from detector.calibration import Calibration
from detector.errors import UnknownModelError
from detector.models.registry import Network

_KERNEL = 3


class SequenceHead(nn.Module):
    """Features and logits of frames in order of time to one logit a clip: the frames' mean and what is added to it.

    Args:
        channels: of the features.
        width: of what is inside.
        dropout: before and after what reads the sequence.
    """

    def __init__(self, channels: int, width: int = 48, dropout: float = 0.3) -> None:
        super().__init__()
        self.channels = channels
        # statistics of a frame, not of a data set: nothing has to be fitted or kept
        self.enter = nn.Sequential(
            nn.LayerNorm(channels), nn.Dropout(dropout), nn.Linear(channels, width), nn.LayerNorm(width)
        )
        self.leave = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, 1))
        last = self.leave[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def read(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(N, T, width) and (N, T, 1), 1 where there is a frame, to (N, T, 2 * width)."""
        raise NotImplementedError

    def forward(self, features: Tensor, logits: Tensor, lengths: Tensor) -> Tensor:
        """One logit per clip, (N,).

        Args:
            features: (N, T, C), pooled over each frame.
            logits: (N, T) of the frames.
            lengths: (N,) int64 frames that each clip has, 1 to T; what lies behind is ignored.
        """
        mask = (torch.arange(features.shape[1], device=features.device) < lengths[:, None]).to(features.dtype)
        share = mask / mask.sum(dim=1, keepdim=True)
        hidden = self.read(self.enter(features), mask[..., None])
        added: Tensor = self.leave((hidden * share[..., None]).sum(dim=1))
        return (logits.masked_fill(mask == 0, 0.0) * share).sum(dim=1) + added[:, 0]


class LstmHead(SequenceHead):
    """Forwards and backwards through time."""

    def __init__(self, channels: int, width: int = 48, dropout: float = 0.3) -> None:
        super().__init__(channels, width, dropout)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)

    def read(self, frames: Tensor, mask: Tensor) -> Tensor:
        """As in `SequenceHead`."""
        lengths = mask[..., 0].sum(dim=1).long().cpu()
        packed = pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=frames.shape[1])[0]


class ConvHead(SequenceHead):
    """Two convolutions over time, the second with gaps: a value sees seven frames."""

    def __init__(self, channels: int, width: int = 48, dropout: float = 0.3) -> None:
        super().__init__(channels, width, dropout)
        self.near = nn.Conv1d(width, 2 * width, _KERNEL, padding="same")
        self.far = nn.Conv1d(2 * width, 2 * width, _KERNEL, padding="same", dilation=2)

    def read(self, frames: Tensor, mask: Tensor) -> Tensor:
        """As in `SequenceHead`."""
        shown = mask.transpose(1, 2)
        x = nn.functional.gelu(self.near(frames.transpose(1, 2) * shown))
        x = x + nn.functional.gelu(self.far(x * shown))
        return x.transpose(1, 2)


HEADS: dict[str, type[SequenceHead]] = {"lstm": LstmHead, "conv": ConvHead}
"""What can read a sequence, by name."""


def frame_windows(length: int, frames: int) -> list[np.ndarray]:
    """Rows of runs of `frames` frames that cover so many, overlapping by half at least; one run if there are fewer."""
    count = 1 + max(0, -(-2 * (length - frames) // frames))
    starts = np.linspace(0, max(0, length - frames), count).round().astype(int)
    return [np.arange(start, min(length, start + frames)) for start in starts]


class InOrder:
    """A trained head at work: what a person's frames say in order, beyond what each says alone.

    Safe to share between threads.

    Attributes:
        channels: of the features that it reads.

    Args:
        head: over the features of one network.
        frames: that it sees together.
    """

    def __init__(self, head: SequenceHead, frames: int) -> None:
        self._head, self._frames = head.eval(), frames
        self.channels = head.channels

    @torch.inference_mode()
    def added(self, features: np.ndarray) -> np.ndarray:
        """By how much each frame's logit is raised, (N,): the mean over the windows that it is in.

        So a person of no more frames than the head sees gets, in the mean, exactly the head's logit, and of a longer
        one the worst run can still be found.

        Args:
            features: (N, C) of one person in order of time, N >= 1, pooled over each frame.
        """
        rows = frame_windows(len(features), self._frames)
        seen = torch.from_numpy(np.stack([features[row] for row in rows]).astype(np.float32))
        lengths = torch.full((len(rows),), seen.shape[1])
        raised = self._head(seen, torch.zeros(seen.shape[:2]), lengths).double().numpy()
        total, count = np.zeros(len(features)), np.zeros(len(features))
        for row, value in zip(rows, raised, strict=True):
            total[row] += value
            count[row] += 1
        return np.asarray(total / count)


class ClipNetwork(nn.Module):
    """A backbone of the registry, frame by frame, and a head over its features: with "resnet18", ResNet and LSTM.

    Args:
        network: trained on faces.
        calibration: of its logits.
        head: a name of `HEADS`.
        size_px: side of the crops.

    Raises:
        UnknownModelError: no such head, or the network's last features are no map.
    """

    def __init__(self, network: Network, calibration: Calibration, head: str, size_px: int) -> None:
        super().__init__()
        if head not in HEADS:
            raise UnknownModelError(f"there is no temporal head {head!r}; known: {', '.join(HEADS)}")
        self.network = network
        self._calibration = calibration
        self._features: list[Tensor] = []
        network.last_features.register_forward_hook(lambda module, inputs, output: self._features.append(output))
        with torch.no_grad():
            channels = self.embed(torch.zeros(1, 3, size_px, size_px))[0].shape[1]
        self.head = HEADS[head](channels)

    def train(self, mode: bool = True) -> "ClipNetwork":
        """The backbone stays as it judges: a batch of one person's frames would spoil its norms' averages."""
        super().train(mode)
        self.network.eval()
        return self

    def embed(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, S, S) float in [0, 1] to features (N, C), the mean of the last map, and calibrated logits (N,)."""
        self.network.eval()
        self._features.clear()
        logits = self.network(crops)
        (features,) = self._features
        self._features.clear()
        if features.ndim != 4:
            raise UnknownModelError(f"{self.network.name} ends in no feature map, which the temporal head reads")
        return features.mean(dim=(2, 3)), self._calibration.scale * logits + self._calibration.offset

    def forward(self, clips: Tensor, lengths: Tensor) -> Tensor:
        """(N, T, 3, S, S) float in [0, 1] and (N,) lengths to (N,) logits, positive = manipulated."""
        features, logits = self.embed(clips.flatten(0, 1))
        shape = clips.shape[:2]
        hidden: Tensor = self.head(features.unflatten(0, shape), logits.unflatten(0, shape), lengths)
        return hidden
