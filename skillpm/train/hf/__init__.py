"""The only folder that may import torch, transformers, trl, peft and datasets; reached by name from ``ops``."""
