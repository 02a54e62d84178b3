"""Functions are built in processes of their own, several at once.

In: tasks.  Out: for each its record, or why it failed.  A worker is `python -m adc.artifact.workers`: it reads a task per
line and answers with a line; so a crash of the compiler ends one worker, and is that function's failure.

    for task, record, error in run(tasks, jobs=2): ...
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adc.artifact.make import Record, make
from adc.artifact.spec import Spec
from adc.backend import aot
from adc.errors import AdcError


@dataclass(frozen=True)
class Task:
    """One function to build."""

    spec: Spec
    root: Path
    levels: tuple[str, ...]
    library: str

    def text(self) -> str:
        return json.dumps({"spec": dataclasses.asdict(self.spec), "root": str(self.root), "levels": self.levels, "library": self.library})


def task_of(text: str) -> Task:
    data = json.loads(text)
    wrt = data["spec"]["wrt"]
    spec = Spec(**{**data["spec"], "wrt": tuple(wrt) if isinstance(wrt, list) else wrt})
    return Task(spec, Path(data["root"]), tuple(data["levels"]), data["library"])


def attempt(task: Task) -> tuple[Record | None, str | None]:
    """(record, None), or (None, why not): adc's own words, or the exception and the line that raised it."""
    try:
        return make(task.spec, task.root, aot.levels(task.levels), task.library), None
    except AdcError as e:
        return None, f"{type(e).__name__}: {e}"
    except Exception as e:  # the user's module may raise anything while it is imported
        frames = traceback.extract_tb(e.__traceback__)
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        return None, f"{type(e).__name__}: {e}{where}"


def run(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Record | None, str | None]]:
    """Every task with its record or why it failed, as they are done."""
    if jobs <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield (task, *attempt(task))
        return
    todo: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Task, Record | None, str | None]] = queue.SimpleQueue()
    count = min(jobs, len(tasks))
    for item in (*tasks, *[None] * count):
        todo.put(item)
    threads = [threading.Thread(target=_serve, args=(todo, done), daemon=True) for _ in range(count)]
    for t in threads:
        t.start()
    for _ in tasks:
        yield done.get()
    for t in threads:
        t.join()


def _serve(todo: Any, done: Any) -> None:
    """Hand tasks to one worker, and to a new one where it has died."""
    worker: subprocess.Popen[str] | None = None
    try:
        while (task := todo.get()) is not None:
            if worker is None:
                worker = _start()
            answer = _ask(worker, task)
            if answer is None:
                code = worker.wait()
                done.put((task, None, f"the compiler's process ended with {code}"))
                worker = None
            else:
                done.put((task, answer["record"], answer["error"]))
    finally:
        if worker is not None and worker.stdin is not None:
            with contextlib.suppress(OSError):
                worker.stdin.close()
            worker.wait()


def _start() -> subprocess.Popen[str]:
    path = os.pathsep.join(p for p in sys.path if p)
    return subprocess.Popen(
        [sys.executable, "-m", "adc.artifact.workers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def _ask(worker: subprocess.Popen[str], task: Task) -> dict[str, Any] | None:
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(task.text() + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
    except OSError:
        return None
    return json.loads(line) if line.endswith("\n") else None


def main() -> None:
    """The worker: what the user's modules print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        record, error = attempt(task_of(line))
        answers.write(json.dumps({"record": record, "error": error}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
