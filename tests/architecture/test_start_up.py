"""Starting is quick: what is imported and the processor time it takes, neither of which depends on what else runs."""

import resource
import subprocess
import sys

import pytest

_COUNT_MODULES = """
import sys
before = set(sys.modules)
try:
    {start}
except SystemExit:
    pass
print(len(set(sys.modules) - before), file=sys.stderr)
"""
_IMPORT = "import bedplate"
_HELP = "from bedplate.cli.main import main; main(['--help'])"


@pytest.mark.parametrize(("start", "most"), [(_IMPORT, 60), (_HELP, 140)], ids=["import", "help"])
def test_start_up_imports_few_modules(start: str, most: int) -> None:
    """31 and 91 today; any one of numpy, rich or sqlalchemy would be more than what is left."""
    code = _COUNT_MODULES.format(start=start)
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 0 < int(ended.stderr) <= most


@pytest.mark.parametrize(("start", "most_s"), [(_IMPORT, 0.5), (_HELP, 1.0)], ids=["import", "help"])
def test_start_up_takes_little_processor_time(start: str, most_s: float) -> None:
    assert min(cpu_s(start) for _ in range(3)) < most_s


def cpu_s(code: str) -> float:
    """Processor time of a cold process that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_the_base_package_imports_without_torch_ray_or_the_web() -> None:
    code = (
        "import sys, bedplate, bedplate.cli.main, bedplate.engines.base, bedplate.app.pipeline.contract.step\n"
        "heavy = {'torch', 'ray', 'transformers', 'fastapi', 'sqlalchemy', 'numpy', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported at start: {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
