"""How fast from data to an answer: data, training, compression, serving."""
