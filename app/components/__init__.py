"""The parts of the pages: each function draws one thing. Words come from `detector.report`."""
