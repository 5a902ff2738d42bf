"""The networks: building blocks, the Lookahead Evaluator, the Online Generator, and their builders."""
