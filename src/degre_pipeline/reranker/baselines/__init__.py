"""Published rerankers to compare with, one a file."""
