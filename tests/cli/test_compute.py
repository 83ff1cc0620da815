"""`bedplate compute inventory` as people call it."""

import json
import os
import subprocess
import sys


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bedplate", *arguments], capture_output=True, text=True, timeout=60)


def test_inventory_prints_the_devices_of_this_machine_as_json() -> None:
    done = call("compute", "inventory", "-o", "json")
    assert done.returncode == 0, done.stderr
    devices = json.loads(done.stdout)["devices"]
    assert {core for device in devices if device["kind"] == "cpu" for core in device["cores"]} == os.sched_getaffinity(0)
    assert devices[0]["measured"]["matmul_flops"] == {"fp32": None, "bf16": None, "int8": None}


def test_inventory_respects_the_cpuset_that_it_is_started_in() -> None:
    core = min(os.sched_getaffinity(0))
    code = f"import os, sys; os.sched_setaffinity(0, {{{core}}}); from bedplate.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "compute", "inventory", "-o", "json"], capture_output=True, text=True, timeout=60
    )
    assert [device["cores"] for device in json.loads(done.stdout)["devices"]] == [[core]]


def test_inventory_as_a_table_names_each_device() -> None:
    done = call("compute", "inventory")
    assert done.stdout.splitlines()[0].startswith("device\tkind\tvendor")
    assert done.stdout.splitlines()[1].startswith("cpu:0\tcpu\t")
