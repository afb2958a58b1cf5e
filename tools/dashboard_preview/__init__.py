"""`make dashboard`: the template's dashboards, drawn from a week that was run on this machine."""
