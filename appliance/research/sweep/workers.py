"""Who does the work: this process, processes beside it, or a Dask cluster. Outcomes come as they are ready."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from appliance.errors import ApplianceError, EnvironmentFault, UsageError
from appliance.research.sweep.axes import Combination
from appliance.research.sweep.store import Outcome

Numbered = tuple[int, Combination]
Work = Callable[[int, Combination], Outcome]
"""One combination, by its number. It is pickled: a function of a module, or a partial of one."""
Sent = Callable[[Any, int, Combination], Outcome]
"""The same for another machine: it is given first what was sent there."""
PATIENCE = 10.0
"""How long (s) a scheduler may take to answer."""
TRIES = 10
"""How many workers may be lost on one combination before it is blamed for it."""


def alone(work: Work, wanted: Iterable[Numbered]) -> Iterator[Outcome]:
    """One after the other, in this process."""
    return (work(number, combination) for number, combination in wanted)


def beside(work: Work, wanted: Iterable[Numbered], jobs: int) -> Iterator[Outcome]:
    """By ``jobs`` processes. Raises EnvironmentFault when one of them dies."""
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    pool = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size="auto", pre_dispatch="3 * n_jobs")
    try:
        yield from pool(joblib.delayed(partial(_undisturbed, work))(number, one) for number, one in wanted)
    except TerminatedWorkerError:
        raise EnvironmentFault(
            "a worker process died, perhaps for want of memory",
            hint="what is done is kept: the same command goes on; use fewer --jobs",
        ) from None


def _undisturbed(work: Work, number: int, combination: Combination) -> Outcome:
    """Ctrl-C goes to every process of the terminal; the one that was started decides what comes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return work(number, combination)


class Cluster:
    """A Dask cluster at ``tcp://HOST:PORT``. Raises UsageError without the extra, EnvironmentFault without an answer.

    ``build`` names our code; a worker with another one is refused, since it might find something else.
    """

    def __init__(self, address: str, build: str) -> None:
        try:
            import distributed
        except ImportError:
            raise UsageError(
                f"--cluster {address} needs the package distributed",
                hint="install the extra: pip install 'trading-appliance[cluster]'",
            ) from None
        with _reached(address):
            self._client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        try:
            self._alike(address, build)
        except ApplianceError:
            self._client.close()
            raise

    def _alike(self, address: str, build: str) -> None:
        with _reached(address):
            builds = self._client.run(_build_of_worker, on_error="return")
        if not builds:
            raise EnvironmentFault(
                f"the scheduler at {address} has no worker",
                hint=f"start some, on any machine with this appliance: dask worker {address}",
            )
        for worker, found in sorted(builds.items()):
            if found != build:
                raise EnvironmentFault(
                    f"worker {worker} has another build of the appliance: {found}, ours is {build}",
                    hint="install the same version there, with the extra cluster",
                )

    def work(self, work: Sent, parcel: Any, wanted: Iterable[Numbered]) -> Iterator[Outcome]:
        """Let workers do it. ``parcel`` is what each of them needs first; the scheduler keeps it, so that a worker that
        is lost takes nothing with it: what it had not given back is done by another."""
        from distributed import as_completed

        client = self._client
        kept = client.submit(_same, parcel, pure=False)
        futures = [client.submit(work, kept, number, one, pure=False, retries=TRIES) for number, one in wanted]
        try:
            for future, outcome in as_completed(futures, with_results=True, loop=client.loop):
                future.release()
                yield outcome
        finally:
            client.cancel(futures)

    def close(self) -> None:
        """Let go of the scheduler."""
        self._client.close()


def _same(parcel: Any) -> Any:
    return parcel


def _build_of_worker() -> str:
    from appliance.settings import build_hash

    return build_hash()


@contextmanager
def _reached(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TimeoutError) as error:
        raise EnvironmentFault(
            f"--cluster {address}: {error}",
            hint="start a scheduler there (dask scheduler) and write its address as tcp://HOST:PORT",
        ) from None
