"""Token shards for a model, from what a step was given as data: the shards themselves, or a corpus."""

from __future__ import annotations

from pathlib import Path

from bedplate.app.pipeline.contract.gangs import run_gang
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.core.messages import decode, encode
from bedplate.core.workload import Gang, Task
from bedplate.toolchain.data.corpus import is_corpus
from bedplate.toolchain.data.messages import TokenisedCorpus, TokeniseTask


def tokens_for(data: Path, model: Path, context: StepContext) -> Path:
    """The folder of token shards of `data` under the tokenizer of `model`.

    A corpus is tokenised in its own folder, once per tokenizer; anything else is returned as it is.

    Raises:
        See `run_gang`.
    """
    if not is_corpus(data):
        return data
    return tokenise_corpus(data, model, context).folder


def tokenise_corpus(corpus: Path, model: Path, context: StepContext) -> TokenisedCorpus:
    """Tokenise in a task. Instant where it was done before."""
    spec = TokeniseTask(corpus=corpus.absolute(), model=model.expanduser().absolute())
    gang = Gang(name="tokenise", tasks=(Task(entry="bedplate.workers.tokenize:main", spec=encode(spec)),))
    return decode(TokenisedCorpus, run_gang(context.engine, gang, context.reporter).tasks[0].result)
