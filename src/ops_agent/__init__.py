"""ops-agent: an approved issue becomes a pull request with Terraform, its plan, and the proof that it is safe."""

__version__ = "0.1.0"
