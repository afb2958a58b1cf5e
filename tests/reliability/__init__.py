"""The proof: whatever fails, what is marked and ours ends and is reported once; nothing else does."""
