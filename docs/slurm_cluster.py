"""Start convbench workers as jobs of SLURM, and measure a suite on them.

Usage::

    pip install dask-jobqueue
    python docs/slurm_cluster.py headline --nodes 10 --partition compute -- --threads 1,2

Each job takes a whole node (--exclusive), since a neighbour would disturb the times. Words after
the two dashes go to `convbench run`.
"""

import argparse
import subprocess
import sys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--partition", default=None)
    parser.add_argument("--walltime", default="04:00:00")
    parser.add_argument("--wait", default="24h", help="how long to wait for the first job")
    parser.add_argument("more", nargs="*")
    given = parser.parse_args()

    from dask_jobqueue import SLURMCluster

    with SLURMCluster(
        queue=given.partition,
        walltime=given.walltime,
        cores=1,  # threads of the worker: it does one task at a time
        processes=1,
        memory="1GB",  # not a limit: the job takes all of the node's, by the directive below
        job_extra_directives=["--exclusive", "--mem=0"],
        job_directives_skip=["--mem=", "--cpus-per-task"],
        worker_extra_args=["--resources", "convbench=1", "--memory-limit", "0"],
    ) as cluster:
        cluster.scale(jobs=given.nodes)
        words = ["run", given.suite, "--cluster", cluster.scheduler_address, "--wait", given.wait]
        return subprocess.call([sys.executable, "-m", "suites.cli", *words, *given.more])


if __name__ == "__main__":
    sys.exit(main())
