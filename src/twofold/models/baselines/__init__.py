"""The honest baselines that every other model is held against."""
