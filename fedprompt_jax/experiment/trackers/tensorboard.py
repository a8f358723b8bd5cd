"""TensorBoard: RUN/tensorboard, written anew at each start of a run."""

import shutil
import time
from typing import Any

from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.experiment.scalars import axis, scalars

PACKAGE = 'tensorboardX'
FOLDER = 'tensorboard'


class TensorBoard:
    """Writes a line as one event, whose step is the round or the epoch.

    EventsWriter is used and not SummaryWriter, which writes in a thread: where
    that has died, as on a full disk, the run would wait for it forever.
    """

    def __init__(self, run: RunFolder) -> None:
        from tensorboardX.event_file_writer import EventsWriter

        folder = run.path / FOLDER
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        self._writer = EventsWriter(str(folder / 'events'))

    def add(self, number: int, line: dict[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        del number
        (step,) = axis(line).values()
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in scalars(line).items()
        ]
        summary = Summary(value=values)
        event = Event(wall_time=time.time(), step=step, summary=summary)
        self._writer.write_event(event)
        self._writer.flush()

    def close(self, succeeded: bool) -> None:
        del succeeded
        self._writer.close()


def open_tracker(run: RunFolder, value: bool) -> TensorBoard:
    """Removes what earlier starts wrote and begins a new file of events."""
    del value
    return TensorBoard(run)
