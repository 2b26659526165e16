"""From a model or a design to draws. Floor 3."""
