"""One Ray for all tests of the engine: two nodes on this machine, with room for a worker each."""

import os

import pytest

CPUS = 1


class Nodes:
    """A Ray cluster whose second node can be killed and added again."""

    def __init__(self, cluster):
        self.cluster, self.second = cluster, None
        self.address = cluster.address

    def add(self):
        self.second = self.cluster.add_node(num_cpus=CPUS, object_store_memory=80 * 2**20)

    def kill(self):
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = None


@pytest.fixture(scope="session")
def nodes():
    """Ray with two nodes, and this process in it."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ.update(
        RAY_worker_niceness="0", RAY_enable_worker_prestart="0", RAY_USAGE_STATS_ENABLED="0"
    )
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": CPUS,
            "include_dashboard": False,
            "object_store_memory": 80 * 2**20,
        },
    )
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield Nodes(cluster)
    finally:
        ray.shutdown()
        cluster.shutdown()
