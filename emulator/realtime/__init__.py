"""A stand-in for realtime voice services: OpenAI, Azure OpenAI and Azure Voice Live, told apart by the URL's path."""
