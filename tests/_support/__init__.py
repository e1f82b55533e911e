"""What tests share: problems, layouts of arrays, models, messages and slow definitions."""
