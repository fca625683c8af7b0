#!/usr/bin/env bash
# Start a Dask scheduler here and one convbench worker on each host, over SSH.
#
#   docs/start_cluster.sh node1 node2 …     the same folder and environment on every host
#   docs/start_cluster.sh --local           one worker on this machine, to try it
#
# Prints the address for `convbench run SUITE --cluster ADDRESS`. Ctrl-C ends all of it.
# Variables: PORT (8786), PYTHON on the hosts (that of this shell), ADDRESS of this host.
set -euo pipefail

[ $# -gt 0 ] || { sed -n 's/^# \{0,1\}//p' "$0" | sed 1d; exit 2; }
port=${PORT:-8786}
python=${PYTHON:-$(command -v python)}
address=${ADDRESS:-$([ "$1" = --local ] && echo 127.0.0.1 || hostname -f)}
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null || true' EXIT

"$python" -m distributed.cli.dask_scheduler --host "$address" --port "$port" --no-dashboard &
# One worker of one thread: it starts a process for each task, which sets its own threads.
worker="-m distributed.cli.dask_worker tcp://$address:$port --nthreads 1 --nworkers 1"
worker="$worker --resources convbench=1 --no-dashboard"
for host in "$@"; do
  if [ "$host" = --local ]; then
    # shellcheck disable=SC2086
    "$python" $worker &
  else  # the worker ends with the connection
    # shellcheck disable=SC2029
    ssh -tt "$host" "cd '$PWD' && exec '$python' $worker" </dev/null &
  fi
done
echo "convbench run SUITE --cluster tcp://$address:$port"
wait
