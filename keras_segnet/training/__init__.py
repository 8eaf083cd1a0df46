"""Loss, callbacks, and the training run of the command line."""
