"""LibreTranslate's dialect: texts in, translations out, by languages instead of runs."""
