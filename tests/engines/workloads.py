"""Tasks for the conformance suite, each told twice in one breath: as an entry for engines that run it, and as behaviour for
the simulated one. Durations are short, and long enough to be interrupted where that is the point.
"""

from typing import Any

from bedplate.core.workload import Gang, Resources, Task


def task(entry: str, spec: dict[str, Any] | None = None, cpus: int = 1, **simulated: Any) -> Task:
    spec = {**(spec or {}), "simulated": simulated}
    return Task(entry=f"tests.engines.tasks:{entry}", spec=spec, resources=Resources(cpus=cpus))


def finishing(result: dict[str, Any] | None = None, cpus: int = 1) -> Task:
    return task("finish", {"result": result}, cpus=cpus, at_s=0.1, result=result)


def failing(message: str) -> Task:
    return task("fail", {"message": message}, at_s=0.1, exit_code=1, message=f"ValueError: {message}")


def leaving(code: int) -> Task:
    return task("leave", {"code": code}, at_s=0.1, exit_code=code)


def endless(cpus: int = 1) -> Task:
    """Reports `ready`, then runs until it is ended."""
    return task("sleep", cpus=cpus, progress=[{"at_s": 0.0, "attributes": {"ready": True}}])


def deaf() -> Task:
    """Like `endless`, and ignores SIGTERM."""
    return task("ignore_sigterm", progress=[{"at_s": 0.0, "attributes": {"ready": True}}], ignores_sigterm=True)


def falling_silent() -> Task:
    return task("sleep", progress=[{"at_s": 0.0, "attributes": {"ready": True}}], silent_after_s=0.0)


def beating(for_s: float) -> Task:
    """Reports `ready`, then gives heartbeats until it ends."""
    return task("beat", {"for_s": for_s}, at_s=for_s, progress=[{"at_s": 0.0, "attributes": {"ready": True}}])


def unheard(for_s: float) -> Task:
    """Gives no sign of life at all before it ends."""
    return task("sleep_unheard", {"for_s": for_s}, at_s=for_s)


def reporting(steps: int) -> Task:
    reports = [{"at_s": 0.01 * step, "attributes": {"step": step}} for step in range(steps)]
    return task("report", {"steps": steps}, at_s=0.01 * steps, progress=reports)


def measuring_nothing() -> Task:
    """Reports and returns NaN and infinities, and a word that only reads like one."""
    said = {"numbers": ["NaN", "Infinity", "-Infinity"], "word": "\\NaN"}
    return task("measure_nothing", at_s=0.1, progress=[{"at_s": 0.0, "attributes": said}], result=said)


def writing(text: str) -> Task:
    return task("write", {"text": text}, at_s=0.1, log=f"to stdout {text}\nto stderr {text}\n")


def gang(*tasks: Task, name: str = "gang", **fields: Any) -> Gang:
    return Gang(name=name, tasks=tasks, **fields)
