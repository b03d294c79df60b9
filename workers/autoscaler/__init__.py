"""As many workers as the waiting work needs: signals in, one decision, a driver that acts."""
