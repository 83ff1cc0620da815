"""What the vendors' tools print, as the inventory's fixtures hold it, is found in the table."""

from pathlib import Path

import pytest

from bedplate.compute.capabilities.table import published
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.compute.inventory.tools.saved import read_saved

FIXTURES = Path(__file__).parents[1] / "inventory" / "fixtures"


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("npu-smi/info-910b.txt", "910B3"),
        ("npu-smi/info-310p.txt", "310P3"),
        ("npu-smi/info-a3.txt", "910C"),
        ("npu-smi/info-950.txt", "950PR"),
        ("nvidia-smi/query.csv", "H100 80GB HBM3"),
        ("nvidia-smi/table.txt", "RTX 4090"),
        ("rocm-smi/cards.json", "MI210"),
        ("amd-smi/static.json", "MI300X"),
        ("hy-smi/cards.json", "K100_AI"),
        ("cnmon/table.txt", "MLU370-X8"),
        ("mx-smi/show.txt", "C500"),
        ("ixsmi/query.csv", "BI-V150"),
        ("xpu-smi-kunlunxin/table.txt", "P800"),
        ("mthreads-gmi/query.json", "S4000"),
    ],
)
def test_a_printed_model_is_found(file: str, model: str) -> None:
    path = FIXTURES / file
    devices = read_saved([ToolOutput(text=path.read_text(), source=path.name)], None)
    found = [published().find(device.model, device.vendor, device.memory_bytes) for device in devices]
    assert model in {item.model for item in found if item}
