"""The loop over hosts, with invented hosts: nothing is lost, doubled or pooled across kinds."""

import json
from dataclasses import replace

import pytest
from synthetic import ENVIRONMENT, LIMITS, cell, header, write_run

import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from results.records.run import FILE
from suites.cases.suite import Case, Suite
from suites.cluster import fleet as module
from suites.cluster.connection import GoneError
from suites.cluster.fleet import Fleet, budgets
from suites.cluster.hosts import Host, version
from suites.cluster.ledger import siblings
from suites.cluster.task import Task
from suites.timing.schedule import Settings

CASES = tuple(Case(Problem(size=(n, n), kernel=3)) for n in (8, 16, 24, 32))
SUITE = Suite("mini", "Mini", "", CASES, ("naive", "parallel"))
SETTINGS = Settings("mini", ("naive", "parallel"), (1, 2), "naive", budget=100.0)


class Future:
    """Result of a task, there as soon as it is asked for."""

    def __init__(self, value, status="finished"):
        self.value, self.status = value, status

    def done(self):
        return self.status != "pending"

    def exception(self):
        return self.value

    def cancel(self):
        self.status = "cancelled"


class Cluster:
    """Scheduler with invented hosts; `script` changes it before every look at the workers."""

    address = "tcp://invented:8786"

    def __init__(self, tmp_path, hosts, script=()):
        self.hosts = {host.address: host for host in hosts}
        self.given, self.script, self.folder = [], iter(script), tmp_path / "shards"
        self.plan = {}

    def workers(self):
        next(self.script, lambda: None)()
        return [*self.hosts]

    def ask(self, address):
        return self.hosts[address]

    def give(self, task, host):
        self.given.append((host.address, task.number))
        answer = self.plan.pop(len(self.given), None)
        if answer is not None:
            return answer
        task = Task.of_json(json.loads(json.dumps(task.as_json())))  # as it travels
        cells = [
            cell(name, task.case.problem, suite="mini", threads=threads)
            for threads in task.settings.threads
            for name in task.case.entrants(task.settings.algorithms)
        ]
        run = write_run(self.folder, cells, environment=host.environment, limits=LIMITS)
        return Future({"records": (run / FILE).read_text()})

    def result(self, future):
        return future.value

    def wait(self, futures):
        pass


def host(number, cpu="AMD EPYC 9B14", **changes):
    usual = {
        "address": f"tcp://10.0.0.{number}:1", "identity": f"m{number}", "name": f"node{number}",
        "convbench": version(), "resources": {"convbench": 1},
        "environment": {**ENVIRONMENT, "cpu": cpu, "host": f"node{number}", "usable_cores": 2},
    }  # fmt: skip
    return Host(**{**usual, **changes})


def fleet(tmp_path, cluster, session="s", **changes):
    said = []
    settings = replace(SETTINGS, **changes)
    one = Fleet(
        SUITE, settings, cluster, header(suite="mini", cluster={"session": session}),
        tmp_path / "runs", said.append, wait=0.0,
    )  # fmt: skip
    return one, said


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(module.clock, "settle", lambda seconds: None)


def groups_of(path):
    """Return the groups of a run, and check that none has anything twice."""
    records = results.read_records(path)
    cells = [(one.group, one.algorithm) for one in records.cells]
    passes = [(one.group, one.number) for one in records.passes]
    assert len(set(cells)) == len(cells) and len(set(passes)) == len(passes)
    return {group for group, _ in cells}


def test_hosts_of_one_kind_share_the_problems(tmp_path):
    cluster = Cluster(tmp_path, [host(1), host(2)])
    measured = fleet(tmp_path, cluster)[0].run()
    assert measured.status == "complete"
    (path,) = measured.paths.values()
    assert groups_of(path) == set(range(8))
    assert sorted(number for _, number in cluster.given) == [0, 1, 2, 3]
    assert {address for address, _ in cluster.given} == {*cluster.hosts}
    frame = results.read(path)
    assert len(frame) == 16 and set(frame["threads"]) == {1, 2}
    assert {one.host for one in results.read_records(path).passes} == {"node1", "node2"}


def test_unlike_hosts_are_not_pooled(tmp_path):
    cluster = Cluster(tmp_path, [host(1), host(2, cpu="Intel Xeon")])
    measured = fleet(tmp_path, cluster)[0].run()
    paths = [*measured.paths.values()]
    assert len(paths) == 2 and all(groups_of(path) == set(range(8)) for path in paths)
    for path, name in zip(paths, ("node1", "node2"), strict=True):
        records = results.read_records(path)
        assert {one.host for one in records.passes} == {name}
        assert records.header.environment["host"] == name
    for content in ("", "[]\n", "{half"):  # neighbours that are none of ours
        damaged = paths[0].parent / "damaged"
        damaged.mkdir(exist_ok=True)
        (damaged / "records.jsonl").write_text(content)
        assert [path for _, path in siblings(paths[1])] == sorted(paths)


def let_first_die(cluster):
    """Let the first worker vanish while a task of its own is under way."""

    def die():
        del cluster.hosts["tcp://10.0.0.1:1"]

    cluster.plan[1] = Future(None, "pending")
    cluster.script = iter([lambda: None, die])


def test_a_task_whose_host_dies_goes_to_another(tmp_path):
    cluster = Cluster(tmp_path, [host(1), host(2)])
    let_first_die(cluster)
    one, said = fleet(tmp_path, cluster)
    measured = one.run()
    assert measured.status == "complete"
    assert groups_of(*measured.paths.values()) == set(range(8))
    assert sum(number == 3 for _, number in cluster.given) == 2
    assert any("node1 is gone" in sentence for sentence in said)


def test_a_host_whose_first_worker_is_gone_measures_with_its_second(tmp_path):
    cluster = Cluster(tmp_path, [host(1), host(2, identity="m1"), host(3, resources={})])
    let_first_die(cluster)
    one, said = fleet(tmp_path, cluster)
    measured = one.run()
    assert measured.status == "complete"
    assert groups_of(*measured.paths.values()) == set(range(8))
    assert {address for address, _ in cluster.given[1:]} == {"tcp://10.0.0.2:1"}
    assert sum("10.0.0.3" in sentence for sentence in said) == 1  # asked twice, told once


def test_a_result_that_arrived_before_the_host_died_counts(tmp_path):
    cluster = Cluster(tmp_path, [host(1)])
    gone = iter([lambda: None] * 4 + [cluster.hosts.clear])
    cluster.script = gone
    measured = fleet(tmp_path, cluster)[0].run()
    assert measured.status == "complete"


def test_a_host_that_comes_later_takes_part(tmp_path):
    cluster = Cluster(tmp_path, [host(1)])
    late = host(2)
    cluster.script = iter([lambda: None, lambda: cluster.hosts.update({late.address: late})])
    fleet(tmp_path, cluster)[0].run()
    assert late.address in {address for address, _ in cluster.given}


def test_a_scheduler_that_goes_away_ends_with_what_there_is(tmp_path):
    cluster = Cluster(tmp_path, [host(1)])

    def leave():
        raise GoneError

    cluster.script = iter([lambda: None, lambda: None, leave])
    measured = fleet(tmp_path, cluster)[0].run()
    (path,) = measured.paths.values()
    assert measured.status == "interrupted" and "does not answer any more" in measured.reason
    assert groups_of(path) == {2, 6, 3, 7}
    assert results.read_records(path).status == "interrupted"
    again = Cluster(tmp_path, [host(2)])
    one, _ = fleet(tmp_path, again)
    for kind, earlier in siblings(path):
        one.take_up(kind, earlier)
    assert one.run().paths == measured.paths
    assert groups_of(path) == set(range(8))
    assert sorted(number for _, number in again.given) == [0, 1]
    assert results.read_records(path).status == "complete"


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_half_a_problem_is_removed_and_measured_again(tmp_path, cut):
    measured = fleet(tmp_path, Cluster(tmp_path, [host(1)]))[0].run()
    (path,) = measured.paths.values()
    lines = (path / FILE).read_text().splitlines(keepends=True)
    (path / FILE).write_text("".join(lines[: -1 - cut]) + lines[-1 - cut][:20])
    again = Cluster(tmp_path, [host(1)])
    one, _ = fleet(tmp_path, again)
    one.take_up(host(1).kind, path)
    assert one.run().status == "complete"
    assert groups_of(path) == set(range(8)) and len(results.read(path)) == 16
    assert [number for _, number in again.given] == [0]


REFUSED = [
    ({"identity": "m1"}, "same host as tcp://10.0.0.1:1"),
    ({"convbench": "0.0.1 (12345678)"}, r"has convbench 0.0.1 \(12345678\), here is"),
    ({"convbench": "", "trouble": "ImportError: x"}, "has no convbench"),
    ({"resources": {}}, "does not offer convbench=1"),
    ({"environment": {**ENVIRONMENT, "usable_cores": 1}}, "has 1 cores, 2 threads"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_a_worker_that_may_not_measure_gets_no_task(tmp_path, changes, sentence):
    cluster = Cluster(tmp_path, [host(1), host(2, **changes)])
    one, said = fleet(tmp_path, cluster)
    assert one.run().status == "complete"
    assert {address for address, _ in cluster.given} == {"tcp://10.0.0.1:1"}
    assert [s for s in said if "10.0.0.2" in s]
    if changes.get("identity") != "m1":
        with pytest.raises(ConvbenchError, match=f"no worker that can measure: .*{sentence}"):
            fleet(tmp_path, Cluster(tmp_path, [host(2, **changes)]))[0].run()


def test_without_workers_there_is_a_sentence(tmp_path):
    with pytest.raises(ConvbenchError, match="no worker that can measure; start one on each host"):
        fleet(tmp_path, Cluster(tmp_path, []))[0].run()


def test_a_task_that_fails_everywhere_is_given_up(tmp_path):
    cluster = Cluster(tmp_path, [host(1)])
    cluster.plan = {n: Future({"failure": "exit code -11: boom"}) for n in (1, 2, 3)}
    measured = fleet(tmp_path, cluster)[0].run()
    assert measured.status == "interrupted" and "boom" in measured.reason
    assert groups_of(*measured.paths.values()) == {0, 4, 1, 5, 2, 6}
    cluster = Cluster(tmp_path, [host(1)])
    cluster.plan = {1: Future({"mistake": "picture.png does not exist"})}
    with pytest.raises(ConvbenchError, match=r"node1: picture.png does not exist"):
        fleet(tmp_path, cluster)[0].run()


def test_budgets_share_what_was_given(tmp_path):
    assert sum(budgets(SUITE, SETTINGS)) == pytest.approx(100)
    elastic = replace(SETTINGS, elastic=True, budget=0.1)
    assert all(one > 0.1 for one in budgets(SUITE, elastic))
