"""Where in a face the evidence lies. Import from `detector.explain.gradcam`: it loads torch, this package does not."""
