"""Texts in English and Chinese: `texts.en.yaml` and `texts.zh.yaml`, one flat table of keys each."""
