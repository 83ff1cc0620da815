"""How the scorecard's own terms are shown to people."""

from __future__ import annotations

from bedplate.core.measurement import Provenance
from bedplate.core.text import AnyText, Text, text
from bedplate.scorecard.grade import Cap, Grade, Level
from bedplate.scorecard.indicator import Basis, Direction, Part

PARTS = {
    Part.COMPUTE: text("Compute"),
    Part.STORAGE: text("Storage"),
    Part.NETWORK: text("Network"),
    Part.TOOLCHAIN: text("Toolchain"),
    Part.OPERATIONS: text("Operations"),
}
PART_QUESTIONS = {
    Part.COMPUTE: text("Who runs where, and when?"),
    Part.STORAGE: text("Where are the bytes, and how fast do they arrive?"),
    Part.NETWORK: text("Does compute wait for the network?"),
    Part.TOOLCHAIN: text("How fast from data to an answer?"),
    Part.OPERATIONS: text("Does it keep running?"),
}
LEVELS = {
    Level.BELOW_BASE: text("below base"),
    Level.BASE: text("base"),
    Level.GOOD: text("good"),
    Level.LEAD: text("lead"),
    Level.UNGRADED: text("not graded"),
    Level.MISSING: text("missing"),
}
PROVENANCES = {
    Provenance.MEASURED: text("measured"),
    Provenance.EMULATED: text("emulated"),
    Provenance.SIMULATED: text("simulated"),
    Provenance.REPLAYED: text("replayed"),
    Provenance.PUBLISHED: text("published"),
}
PROVENANCE_MEANINGS = {
    Provenance.MEASURED: text("real hardware of the kind claimed"),
    Provenance.EMULATED: text("real packets or processes on stand-in hardware"),
    Provenance.SIMULATED: text("computed by a model"),
    Provenance.REPLAYED: text("a recorded trace was played through real code"),
    Provenance.PUBLISHED: text("a figure published by others, with its source"),
}
BASES = {
    Basis.REPORT: text("report"),
    Basis.LITERATURE: text("literature"),
    Basis.PROJECT: text("project"),
}
BASIS_MEANINGS = {
    Basis.REPORT: text("from the CAICT report on AI infrastructure (2024)"),
    Basis.LITERATURE: text("from a paper, a benchmark's rules or a default"),
    Basis.PROJECT: text("this project's own judgement"),
}
DIRECTIONS = {
    Direction.HIGHER: text("higher is better"),
    Direction.LOWER: text("lower is better"),
}
STATUSES = {
    "waiting": text("waiting"),
    "running": text("running"),
    "done": text("done"),
    "failed": text("failed"),
    "cancelled": text("cancelled"),
}
DISTURBED = text("disturbed")
DISTURBED_MEANING = text("other work took more than 5 % of the machine during the measurement")
NO_VALUE = "–"


def cap_text(grade: Grade) -> Text | None:
    """Why a graded value stops below the level that it would reach; None where nothing stops it."""
    uncapped: AnyText = LEVELS[grade.uncapped]
    if grade.cap is None or grade.level is Level.UNGRADED:
        return None
    if grade.cap is Cap.PROVENANCE:
        return text(
            'The value would be "{uncapped}", but it was not measured on real hardware, so it stops at "base".',
            uncapped=uncapped,
        )
    if grade.cap is Cap.SCALE:
        return text(
            'The value would be "{uncapped}", but it was measured on fewer than the {nodes} nodes that the threshold is about, '
            'so it stops at "base".',
            uncapped=uncapped,
            nodes=grade.indicator.claimed_nodes,
        )
    return text(
        'The value would be "{uncapped}", but other work took part of the machine while it was measured, so it stops at '
        '"base".',
        uncapped=uncapped,
    )
