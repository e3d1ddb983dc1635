"""The Responses API in the terms of the contract: what was asked as messages, what came back as a ChatCompletion."""
