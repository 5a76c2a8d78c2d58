"""OpenAI as the language model: `model.OpenAILanguageModel`. Only its import loads the SDK."""
