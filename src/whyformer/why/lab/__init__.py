"""Tools that experiments share: toy tasks, short trainings, measurements of cost."""
