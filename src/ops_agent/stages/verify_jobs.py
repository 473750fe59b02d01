"""Jobs that start children, side by side, as many at once as this machine carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from ops_agent.ports import World

T = TypeVar("T")


def run_all(world: World, jobs: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Every job's result; jobs begin in their order.

    The first exception ends all: what runs is finished or, when the run is cancelled, killed.
    """
    with ThreadPoolExecutor(max_workers=world.terraform.parallel(), thread_name_prefix="verify") as pool:
        try:  # around the submissions too: the first job runs while the others are handed in
            futures: dict[str, Future[T]] = {name: pool.submit(job) for name, job in jobs.items()}
            running = set(futures.values())
            while running:
                # With a time limit, so that an interrupt is seen at once, whichever thread the system hands it to.
                done, running = wait(running, timeout=0.5, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            return {name: future.result() for name, future in futures.items()}
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                world.terraform.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
