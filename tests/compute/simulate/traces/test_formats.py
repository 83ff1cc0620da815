"""Every format that is known is told by its first line and read into jobs; what cannot be replayed is counted by its reason."""

import gzip
import json
from pathlib import Path

import pytest

from bedplate.compute.scheduler.job import Job
from bedplate.compute.simulate.traces.reading import read_trace
from bedplate.compute.simulate.traces.trace import LeftOut, Outcome, Trace
from bedplate.core.errors import CheckFailedError, ConfigurationError, NotFoundError, UsageError

PHILLY = [
    {
        "status": "Pass",
        "vc": "v1",
        "jobid": "application_1",
        "attempts": [
            {
                "start_time": "2017-10-07 01:00:10",
                "end_time": "2017-10-07 01:01:10",
                "detail": [{"ip": "m1", "gpus": ["gpu0"]}],
            },
            {
                "start_time": "2017-10-07 01:02:00",
                "end_time": "2017-10-07 01:12:00",
                "detail": [{"ip": "m1", "gpus": ["gpu0", "gpu1"]}, {"ip": "m2", "gpus": ["gpu4", "gpu5"]}],
            },
        ],
        "submitted_time": "2017-10-07 01:00:00",
        "user": "u1",
    },
    {"status": "Killed", "vc": "v2", "jobid": "a2", "attempts": [], "submitted_time": "2017-10-07 02:00:00", "user": "u"},
    {
        "status": "Failed",
        "vc": "v2",
        "jobid": "application_3",
        "attempts": [{"start_time": "2017-10-07 02:00:10", "end_time": None, "detail": []}],
        "submitted_time": "2017-10-07 02:00:00",
        "user": "u2",
    },
]


def written(folder: Path, text: str, name: str = "jobs.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def the_job(trace: Trace) -> Job:
    (traced,) = trace.jobs
    return traced.job


def test_philly_json(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, json.dumps(PHILLY, indent=1), "log.json"))
    job = the_job(trace)
    assert (job.id, job.tenant, job.user) == ("application_1", "v1", "u1")
    assert (job.request.workers, job.request.devices) == (2, 2)
    assert trace.jobs[0].duration_s == 60 + 600, "all attempts"
    assert trace.left_out == {LeftOut.NEVER_STARTED: 1, LeftOut.NOT_FINISHED: 1}
    assert trace.format == "philly-json"


def test_a_value_in_philly_json_is_named_by_line_and_key(tmp_path: Path) -> None:
    text = json.dumps(PHILLY, indent=1).replace('"2017-10-07 01:12:00"', '"noon"')
    with pytest.raises(ConfigurationError, match=r'log.json:2: attempts\[1\].end_time="noon"'):
        read_trace(written(tmp_path, text, "log.json"))


def test_json_that_breaks_off_is_named_by_line(tmp_path: Path) -> None:
    text = json.dumps(PHILLY[:1]).removesuffix("]") + ',\n\n{"jobid": '
    with pytest.raises(ConfigurationError, match=r"log.json:3"):
        read_trace(written(tmp_path, text, "log.json"))


def test_philly_csv_with_uneven_devices_has_one_worker_a_device(tmp_path: Path) -> None:
    text = (
        "jobid,vc,user,submitted_time,start_time,end_time,num_gpus,status\n"
        "a,v,u,2017-10-07 01:00:00,2017-10-07 01:00:30,2017-10-07 02:00:30,3,Failed\n"
    )
    trace = read_trace(written(tmp_path, text))
    assert trace.jobs[0].duration_s == 3600
    assert trace.jobs[0].outcome is Outcome.FAILED
    assert (the_job(trace).request.workers, the_job(trace).request.devices) == (1, 3)


HELIOS = "job_id,user,vc,jobname,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue\n"


def test_helios(tmp_path: Path) -> None:
    rows = (
        "1,u1,vc1,train,16,64,2,COMPLETED,2020-06-09 18:41:01,2020-06-09 18:42:01,2020-06-09 19:42:01,3600,60\n"
        "2,u1,vc1,train,1,1,1,CANCELLED,2020-06-09 18:41:02,None,None,0,0\n"
        "3,u1,vc1,train,1,1,1,FAILED,2020-06-09 18:41:02,2020-06-09 18:42:01,2020-06-09 18:41:01,-60,0\n"
        "4,u1,vc1,train,1,1,1,FAILED,2020-06-09 18:41:02,2020-06-09 18:42:01,2020-06-09 18:43:01,600,0\n"
        "1,u1,vc1,train,1,1,1,FAILED,2020-06-09 18:41:02,2020-06-09 18:42:01,2020-06-09 18:43:01,60,0\n"
        "5,u1,vc1,idle,0,0,1,COMPLETED,2020-06-09 18:41:02,2020-06-09 18:42:01,2020-06-09 18:43:01,60,0\n"
    )
    trace = read_trace(written(tmp_path, HELIOS + rows))
    job = the_job(trace)
    assert (job.request.workers, job.request.devices, job.request.cpu_milli) == (2, 8, 32_000)
    assert (job.submitted_s, trace.jobs[0].duration_s) == (0, 3600)
    assert trace.left_out == {
        LeftOut.NEVER_STARTED: 1,
        LeftOut.WRONG_ORDER: 1,
        LeftOut.DISAGREEING: 1,
        LeftOut.DUPLICATE: 1,
        LeftOut.NEEDS_NOTHING: 1,
    }
    assert "1 never started (" in trace.summary and "jobs.csv:3)" in trace.summary


def test_too_much_left_out_is_refused(tmp_path: Path) -> None:
    row = "1,u1,vc1,train,1,1,1,COMPLETED,2020-06-09 18:41:01,2020-06-09 18:42:01,2020-06-09 19:42:01,3600,60\n"
    trace = read_trace(written(tmp_path, HELIOS + row + row))
    trace.check_left_out(0.5)
    with pytest.raises(CheckFailedError, match="1 an id that was there already"):
        trace.check_left_out(0.49)


def test_openb_pods_with_times(tmp_path: Path) -> None:
    text = (
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
        "p0,6000,12288,1,460,V100M32| V100M16 ,LS,Running,100,1100,105\n"
        "p1,6000,12288,1,460,,LS,Pending,100,1100,\n"
    )
    trace = read_trace(written(tmp_path, text))
    job = the_job(trace)
    assert job.request.share_milli == 460
    assert job.request.accelerators == ("V100M16", "V100M32")
    assert job.request.memory_bytes == 12_288 << 20
    assert trace.jobs[0].duration_s == 995
    assert trace.left_out == {LeftOut.NEVER_STARTED: 1}


def test_slurm_accounting(tmp_path: Path) -> None:
    text = (
        "JobID|JobName|User|Account|Partition|State|Submit|Start|End|Timelimit|AllocTRES\n"
        "7_1|run|ann|vision|gpu|COMPLETED|2026-08-21T12:00:00|2026-08-21T12:14:10|2026-08-21T13:14:10|1-02:00:00|"
        "billing=24,bb/datawarp=200G,cpu=24,gres/gpu:a100=8,gres/gpu=8,gres/gpumem=40G,gres/shard=1.5X,mem=128G,node=2\n"
        "7_1.batch|batch|||gpu|COMPLETED|2026-08-21T12:14:10|2026-08-21T12:14:10|2026-08-21T13:14:10||cpu=12,mem=64G,node=1\n"
        "8|run|bob|vision|gpu|CANCELLED by 1000|2026-08-21T12:00:00|Unknown|Unknown|UNLIMITED|\n"
        "9|run|bob|vision|gpu|RUNNING|2026-08-21T12:00:00|2026-08-21T12:00:00|Unknown|UNLIMITED|cpu=1,node=1\n"
    )
    trace = read_trace(written(tmp_path, text, "sacct.txt"))
    job = the_job(trace)
    assert (job.id, job.tenant, job.user) == ("7_1", "vision", "ann")
    assert (job.request.workers, job.request.devices, job.request.accelerators) == (2, 4, ("a100",))
    assert (job.request.cpu_milli, job.request.memory_bytes) == (12_000, 64 << 30)
    assert job.expected_s == 26 * 3600
    assert trace.left_out == {LeftOut.NEVER_STARTED: 1, LeftOut.NOT_FINISHED: 1}, "the step is no job"
    assert "read as UTC" in " ".join(trace.notes)


def test_slurm_amounts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    text = (
        "JobID|State|Submit|Start|End|AllocTRES\n"
        "1|COMPLETED|2026-08-21T12:00:00|2026-08-21T12:14:10|2026-08-21T13:14:10|cpu=some\n"
    )
    with pytest.raises(ConfigurationError, match=r"sacct.txt:2: AllocTRES='cpu=some'"):
        read_trace(written(tmp_path, text, "sacct.txt"))


def test_our_own_format(tmp_path: Path) -> None:
    text = (
        "id,submitted,duration,tenant,workers,min_workers,devices,accelerators,cpu,memory,priority,deadline,expected,topology\n"
        "a,2026-05-01 09:00:00,2h,research/vision,4,2,8,H100|A100,8,64GB,-3,+6h,3h,same-leaf\n"
        "b,2026-05-01 08:59:00,90,,,,,,0.5,,,,,\n"
        "c,2026-05-01 08:59:00,,,,,,,1,,,,,\n"
        "d,2026-05-01 08:59:00,-5,,,,,,1,,,,,\n"
    )
    trace = read_trace(written(tmp_path, text))
    small, large = trace.jobs
    assert (small.job.id, small.duration_s, small.job.submitted_s, small.job.request.cpu_milli) == ("b", 90, 0, 500)
    job = large.job
    assert (job.submitted_s, job.deadline_s, job.expected_s, job.priority) == (60, 60 + 6 * 3600, 3 * 3600, -3)
    assert (job.request.workers, job.request.fewest, job.request.accelerators) == (4, 2, ("H100", "A100"))
    assert job.request.topology.value == "same-leaf"
    assert trace.left_out == {LeftOut.NOT_FINISHED: 1, LeftOut.WRONG_ORDER: 1}


@pytest.mark.parametrize(
    ("column", "value", "seen"),
    [
        ("devices", "two", "jobs.csv:2: devices='two'"),
        ("devices", "-1", "jobs.csv:2: devices='-1'"),
        ("devices,share", "0,0.5", "jobs.csv:2: share='0.5'"),
        ("share", "1.5", "jobs.csv:2: share='1.5'"),
        ("share", "0", "jobs.csv:2: 0/1000 of 1 accelerators"),
        ("min_workers", "9", "jobs.csv:2: 1 workers, at least 9"),
        ("cpu", "-1", "jobs.csv:2: cpu='-1'"),
        ("memory", "4 apples", "jobs.csv:2: memory='4 apples'"),
        ("topology", "same-rack", "jobs.csv:2: topology='same-rack'"),
        ("gang", "maybe", "jobs.csv:2: gang='maybe'"),
        ("deadline", "soon", "jobs.csv:2: deadline='soon'"),
        ("priority", "1.5", "jobs.csv:2: priority='1.5'"),
        ("expected", "-1h", "jobs.csv:2: expected='-1h'"),
    ],
)
def test_a_value_that_cannot_be_is_named_by_line_and_column(tmp_path: Path, column: str, value: str, seen: str) -> None:
    changed = dict(zip(column.split(","), value.split(","), strict=True))
    columns = {"id": "a", "submitted": "0", "duration": "60", "devices": "1"} | changed
    text = ",".join(columns) + "\n" + ",".join(columns.values()) + "\n"
    with pytest.raises(ConfigurationError) as raised:
        read_trace(written(tmp_path, text))
    assert seen in str(raised.value)


def test_a_time_that_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"jobs.csv:2: submitted='yesterday'"):
        read_trace(written(tmp_path, "id,submitted,duration\na,yesterday,3\n"))


@pytest.mark.parametrize(("first", "second"), [("10", "2026-05-01 09:30:00"), ("2026-05-01 09:30:00", "1e3")])
def test_times_and_seconds_do_not_mix(tmp_path: Path, first: str, second: str) -> None:
    rows = f"id,submitted,duration,devices\na,{first},1h,1\nb,{second},1h,1\n"
    with pytest.raises(ConfigurationError, match="times and seconds are mixed") as refused:
        read_trace(written(tmp_path, rows))
    assert refused.value.seen == f"{tmp_path / 'jobs.csv'}:3: submitted={second!r}"


def test_an_unknown_column_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'devices'"):
        read_trace(written(tmp_path, "id,submitted,duration,device\na,0,1,1\n"))


def test_rows_of_another_length_and_columns_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"jobs.csv:3: 2 cells"):
        read_trace(written(tmp_path, "id,submitted,duration\na,0,1\nb,2\n"))
    with pytest.raises(ConfigurationError, match="there twice"):
        read_trace(written(tmp_path, "id,submitted,duration,cpu,cpu\na,0,1,1,1\n"))


def test_files_in_gzip_are_read_and_damaged_ones_named(tmp_path: Path) -> None:
    packed = tmp_path / "jobs.csv.gz"
    packed.write_bytes(gzip.compress(b"id,submitted,duration,cpu\na,0,1,1\n"))
    assert len(read_trace(packed).jobs) == 1
    packed.write_bytes(gzip.compress(b"id,submitted,duration,cpu\na,0,1,1\n")[:-9])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_trace(packed)


def test_a_format_that_is_not_known_is_refused_and_one_that_is_said_is_used(tmp_path: Path) -> None:
    file = written(tmp_path, "when,what\n")
    with pytest.raises(ConfigurationError, match=r"jobs.csv:1: 'when,what'"):
        read_trace(file)
    with pytest.raises(ConfigurationError, match="missing: job_id"):
        read_trace(file, "helios")
    with pytest.raises(UsageError, match="did you mean 'helios'"):
        read_trace(file, "helos")
    with pytest.raises(NotFoundError):
        read_trace(tmp_path / "absent.csv")
