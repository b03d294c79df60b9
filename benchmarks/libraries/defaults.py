"""Our settings that the calls pass to libraries; a test compares them with `MeasureSettings`."""

DECAY, AGE_DECAY = 0.94, 0.98
