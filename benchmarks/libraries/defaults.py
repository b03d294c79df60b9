"""Our settings that calls give to libraries; a test holds them against `MeasureSettings`."""

DECAY, AGE_DECAY = 0.94, 0.98
