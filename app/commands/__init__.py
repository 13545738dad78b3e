"""The commands, a module for each subject; `commands` in each is what app.cli puts together."""
