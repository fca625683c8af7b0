"""Programs that show the claims on large arrays and on clusters."""
