"""A cluster on this machine for tests: python local_cluster.py WORKERS [same]; obeys its input.

Prints the address of its scheduler. Each worker counts as a host of its own; with "same" they count
as what they are, one host. On the line "kill", one worker is killed. It ends with its input.
"""

import os
import signal
import sys


def main(workers, *more):
    from distributed import LocalCluster

    env = {} if more else {"CONVBENCH_HOST": "process"}
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, resources={"convbench": 1},
        dashboard_address=":0", env=env,
    ) as cluster:  # fmt: skip
        print(cluster.scheduler_address, flush=True)
        for line in sys.stdin:
            if line.strip() == "kill":
                nanny = next(iter(cluster.workers.values()))
                os.kill(nanny.pid, signal.SIGKILL)
                print("killed", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
