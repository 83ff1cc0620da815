"""Use cases of the toolchain: models, data, training, compression, serving."""
