"""The last paragraph of an explained run: where the report is, how to talk to the model, what to try next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedplate.app.pipeline.run.outcome import RunOutcome


def closing_words(outcome: RunOutcome) -> str:
    """What a person can do after `outcome`."""
    lines = ["", "What now?"]
    if outcome.report is not None:
        lines += [f"  The report, one page that opens in any browser:\n    {outcome.report}"]
    if (model := outcome.model) is not None:
        lines += [
            "  Talk to the model it produced. In one terminal:",
            f"    bedplate serve {shlex.quote(str(model))}",
            "  It prints its address and an API key. In another:",
            "    curl http://127.0.0.1:8000/v1/chat/completions -H 'Authorization: Bearer KEY' \\",
            f"""      -H 'Content-Type: application/json' -d '{{"model": "{model.name}", "temperature": 0.2, "messages": """
            """[{"role": "user", "content": "What is a bedplate?"}]}'""",
        ]
    lines.append("  Try next:")
    commands = {
        "bedplate ps": "every run and its steps",
        f"bedplate events {outcome.run_id} --kind task": "what happened to its processes",
        f"bedplate logs {outcome.run_id}": "what they wrote",
        "bedplate doctor": "what this machine can do",
    }
    width = max(map(len, commands))
    lines += [f"    {command:<{width}}  {what}" for command, what in commands.items()]
    lines.append(f"  Everything the run produced is in {outcome.directory}")
    return "\n".join(lines)
