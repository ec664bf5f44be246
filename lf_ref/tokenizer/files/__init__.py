"""The files of a tokenizer, read and written as plain data: vocabulary, merges, tokenizer.json and settings."""
