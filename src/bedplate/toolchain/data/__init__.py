"""From text to tokens: documents -> corpus (cleaned, split) -> shards (tokens) -> samples (in a fixed order).

write_corpus(documents, folder, validation_frac)   corpus.py     train.jsonl, validation.jsonl, manifest.json
tokenise(corpus_folder, model_folder) -> folder    tokenise.py   cached in the corpus, restartable
TokenShards(folder, "train")                       shards.py     memory-mapped tokens, checked on open
window_of(sample, num_windows, seed)               sampler.py    which window a sample of a run reads, from any point on
"""
