"""One comparison under way: its files are written, then the engine's processes follow one another."""

from ...Process.Runner import CANCELLED, DONE, Outcome
from ..Widgets.Contradictions import AskingStepwise

__all__ = ["CompareRun"]


class CompareRun:
    """Writes the files of a comparison piece by piece and runs the engine; it begins at once.

    Parameters
    ----------
    context: PanelContext.
    make: called with what becomes of voxels of contradicting segments; returns a Comparison.
    onWritten: called with done and total while files are written.
    onStart: called without arguments when the engine starts.
    onEvent: called with each event of the engine.
    onEnd: called once: with the Outcome of the last process, or the SoftSegError that ended the writing.

    Attributes
    ----------
    comparison: the Comparison.

    Raises
    ------
    InputError: the comparison cannot be.
    """

    def __init__(self, context, make, onWritten, onStart, onEvent, onEnd):
        self._context, self._make = context, make
        self._onStart, self._onEvent, self._onEnd = onStart, onEvent, onEnd
        self.comparison, self._commands, self._runner, self._cancelled = None, [], None, False
        self._writing: AskingStepwise | None = AskingStepwise(
            context.dialogs, self._steps, onWritten, self._onFiles, self._onError
        )

    @property
    def runner(self):
        """Runner of the process that works; None while files are written."""
        return self._runner

    def cancel(self):
        """Ask the engine to stop, which it tells later; returns False where only files were being written."""
        if self._runner is None:
            self.kill()
            return False
        self._cancelled = True
        self._runner.cancel()
        return True

    def kill(self):
        """Stop at once; nothing is called any more."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.cancel()
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.kill()

    def _steps(self, overlaps):
        self.comparison = self._make(overlaps)
        return self.comparison.write()

    def _onError(self, error):
        self._writing = None
        self._onEnd(error)

    def _onFiles(self):
        self._writing = None
        self._commands = list(self.comparison.commands)
        self._onStart()
        self._next()

    def _next(self):
        self._runner = self._context.runner()
        self._runner.start(self._commands.pop(0), self._onEvent, self._onProcess)

    def _onProcess(self, outcome):
        more = outcome.state == DONE and bool(self._commands)
        if more and not self._cancelled:
            self._next()
            return
        self._runner = None
        self._onEnd(Outcome(CANCELLED) if more else outcome)
