"""The whole path on this machine: an embedded GitHub, AWS and language model, and the action run by a real workflow
engine. The parts serve the tests too."""
