"""Azure AI Language: the sentiment and the key phrases of texts."""
