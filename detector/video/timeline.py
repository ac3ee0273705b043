"""One line of time for a stream whose own times start again on the way. Pure.

Joined recordings, a receiver that lost its signal and cameras that write chapter after chapter leave a stream whose
times jump back, or far ahead. A player goes on from picture to picture; so do these times.
"""

_BACK_S = 0.5
"""Steps back that are shorter are disorder within the stream, which the decoder's order mends."""
_AHEAD_S = 10.0
"""FFmpeg's own limit (`dts_delta_threshold`) for a step ahead in formats that may jump."""


class Continuous:
    """Says by how much to move the times of each packet, in order of the file, so that none jumps.

    Args:
        ticks_a_second: of the packets' times.
        step: ticks from frame to frame, where no packet says.
        by_dts: the format stores times of decoding, which never go back within a recording. Else only keyframes tell:
            their times of presentation are above all that came before.
        closes_gaps: whether a step of more than ten seconds ahead is a jump, too, not a picture that stays.

    Attributes:
        jumps: how often the times jumped so far.
        end: where the last picture so far ends, in moved ticks; None before the first.
    """

    def __init__(self, ticks_a_second: float, step: int, *, by_dts: bool, closes_gaps: bool) -> None:
        self._back, self._ahead = int(_BACK_S * ticks_a_second), int(_AHEAD_S * ticks_a_second)
        self._step, self._by_dts, self._closes_gaps = step, by_dts, closes_gaps
        self._offset = 0
        self._last: int | None = None
        self.jumps = 0
        self.end: int | None = None

    def move(self, pts: int | None, dts: int | None, duration: int | None, is_keyframe: bool) -> int:
        """Ticks to add to the times of the next packet."""
        when, before = (dts, self._last) if self._by_dts else (pts if is_keyframe else None, self.end)
        if when is not None and before is not None:
            at = when + self._offset
            if at < before - self._back or (self._closes_gaps and at > before + self._ahead):
                self.jumps += 1
                if is_keyframe and pts is not None and self.end is not None:
                    self._offset = self.end - pts
                else:
                    self._offset = before + self._step - when
        if dts is not None:
            self._last = dts + self._offset
        shown = dts if pts is None else pts
        if shown is not None:
            end = shown + self._offset + (duration or self._step)
            self.end = end if self.end is None else max(self.end, end)
        return self._offset
