"""Trained models at work: bundles opened by a back end, fed with features, and their answers as scores."""
