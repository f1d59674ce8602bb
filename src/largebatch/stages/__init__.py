"""One small file a stage of the workflow: load -> compute -> save."""
