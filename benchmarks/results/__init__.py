"""What networks reach: trainings with stated recipes, and the page docs/results.md of their results."""
