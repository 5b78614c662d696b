"""How well a policy's decisions stop recorded attacks without stopping work (docs/response.md)."""
