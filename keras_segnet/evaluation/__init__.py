"""Metrics from one confusion matrix, and the evaluation of a model on a data set."""
