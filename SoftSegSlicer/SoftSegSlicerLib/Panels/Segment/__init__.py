"""The tab Segment: inputs, model, options, queue."""
