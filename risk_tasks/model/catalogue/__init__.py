"""The measures, by what they read; `model/registry.py` puts them together."""
