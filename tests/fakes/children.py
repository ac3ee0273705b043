"""What tests have a child process do."""

import os
import time
from pathlib import Path
from typing import Any


def answer(question: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    what = question["do"]
    if what == "echo":
        return {"said": question["say"], "pid": os.getpid()}, blobs
    if what == "sleep":
        time.sleep(60)
    elif what == "spin":
        while True:
            pass
    elif what == "crash":
        os.abort()
    elif what == "grow":
        return {"bytes": len(b"x" * (8 << 30))}, []
    elif what == "raise":
        raise RuntimeError(question["say"])
    elif what == "print":
        print("a library prints", flush=True)
        os.write(1, b"from below Python")
        return {}, []
    elif what == "write":
        Path(question["path"]).write_bytes(b"x" * 100_000)
    return {}, []
